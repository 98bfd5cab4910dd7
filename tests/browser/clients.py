"""Walks through a running server with Ory's client for Python, whose models refuse what they do not allow.

clients.test.mjs runs it with the public and the admin address. It checks what the client read, not how it looks on the wire.
"""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import sys
import time

from ory_client import ApiClient, Configuration, FrontendApi, IdentityApi, MetadataApi
from ory_client.exceptions import ApiException
from ory_client.models import (
    CreateIdentityBody,
    ErrorGeneric,
    JsonPatch,
    LoginFlow,
    PatchIdentitiesBody,
    PerformNativeLogoutBody,
    SettingsFlow,
    UpdateIdentityBody,
    UpdateLoginFlowBody,
    UpdateLoginFlowWithLookupSecretMethod,
    UpdateLoginFlowWithPasswordMethod,
    UpdateRegistrationFlowBody,
    UpdateRegistrationFlowWithPasswordMethod,
    UpdateSettingsFlowBody,
    UpdateSettingsFlowWithPasswordMethod,
    UpdateSettingsFlowWithProfileMethod,
    UpdateSettingsFlowWithTotpMethod,
)

PASSWORD = "walk 4 mornings, slowly"


def code_of(key):
    """The code that an authenticator app shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    mac = hmac.new(base64.b32decode(key), counter, hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def refused(status, model, call, **arguments):
    """The body of a refusal, read by its model.

    Without a model as plain JSON: the client's model of errors allows the ids of the vendor's cloud only.
    """
    try:
        call(**arguments)
    except ApiException as error:
        assert error.status == status, error
        return model.from_json(error.body) if model else json.loads(error.body)
    raise AssertionError("this was not refused")


def attribute(flow, name, value):
    nodes = [node.attributes.actual_instance for node in flow.ui.nodes]
    return next(node for node in nodes if getattr(node, name, None) == value)


def people(frontend):
    email = f"python-{secrets.token_hex(6)}@example.org"
    flow = frontend.create_native_registration_flow()
    body = UpdateRegistrationFlowWithPasswordMethod(method="password", password=PASSWORD, traits={"email": email})
    done = frontend.update_registration_flow(flow=str(flow.id), update_registration_flow_body=UpdateRegistrationFlowBody(body))
    token = done.session_token
    assert frontend.to_session(x_session_token=token).identity.traits["email"] == email

    settings = frontend.create_native_settings_flow(x_session_token=token)

    def submit(body):
        wrapped = UpdateSettingsFlowBody(body)
        return frontend.update_settings_flow(flow=str(settings.id), x_session_token=token, update_settings_flow_body=wrapped)

    profile = UpdateSettingsFlowWithProfileMethod(method="profile", traits={"email": email, "name": {"first": "Ada"}})
    assert submit(profile).identity.traits["name"]["first"] == "Ada"
    short = UpdateSettingsFlowWithPasswordMethod(method="password", password="short")
    refused(400, SettingsFlow, submit, body=short)
    shown = frontend.get_settings_flow(id=str(settings.id), x_session_token=token)
    key = attribute(shown, "id", "totp_secret_key").text.text
    enrolled = submit(UpdateSettingsFlowWithTotpMethod(method="totp", totp_code=code_of(key)))
    codes = attribute(enrolled, "id", "lookup_secret_codes").text.context["secrets"]
    code = codes[0].get("text") or codes[0]["context"]["secret"]

    login = frontend.create_native_login_flow()

    def sign_in(flow, body, token=None):
        return frontend.update_login_flow(
            flow=str(flow.id), x_session_token=token, update_login_flow_body=UpdateLoginFlowBody(body)
        )

    wrong = UpdateLoginFlowWithPasswordMethod(method="password", identifier=email, password="wrong 4 horse battery")
    refused(400, LoginFlow, sign_in, flow=login, body=wrong)
    right = UpdateLoginFlowWithPasswordMethod(method="password", identifier=email, password=PASSWORD)
    second = sign_in(login, right).session_token
    assert refused(403, None, frontend.to_session, x_session_token=second)["error"]["id"] == "session_aal2_required"
    step = frontend.create_native_login_flow(aal="aal2", x_session_token=second)
    backup = UpdateLoginFlowWithLookupSecretMethod(method="lookup_secret", lookup_secret=code)
    raised = sign_in(step, backup, second).session
    assert raised.authenticator_assurance_level == "aal2"
    assert len(frontend.list_my_sessions(x_session_token=second)) == 1
    frontend.disable_my_other_sessions(x_session_token=second)
    refused(401, None, frontend.to_session, x_session_token=token)
    frontend.perform_native_logout(perform_native_logout_body=PerformNativeLogoutBody(session_token=second))
    return str(done.identity.id)


def operators(identities, person):
    email = f"operator-{secrets.token_hex(6)}@example.org"
    made = identities.create_identity(CreateIdentityBody(schema_id="default", traits={"email": email}))
    assert identities.get_identity(id=str(made.id)).traits["email"] == email
    assert [one.id for one in identities.list_identities(credentials_identifier=email)] == [made.id]
    whole = UpdateIdentityBody(schema_id="default", state="active", traits={"email": email, "name": {"last": "Lovelace"}})
    identities.update_identity(id=str(made.id), update_identity_body=whole)
    patch = [JsonPatch(op="replace", path="/metadata_public", value={"plan": "paid"})]
    assert identities.patch_identity(id=str(made.id), json_patch=patch).metadata_public == {"plan": "paid"}
    batch = PatchIdentitiesBody.from_dict({"identities": [{"create": {"schema_id": "default", "traits": {"email": f"b-{email}"}}}]})
    assert identities.batch_patch_identities(batch).identities[0].action == "create"
    sessions = identities.list_identity_sessions(id=person)
    identities.get_session(id=str(sessions[0].id), expand=["identity", "devices"])
    identities.list_sessions(expand=["identity"])
    identities.delete_identity_sessions(id=person)
    identities.list_identity_schemas()
    identities.delete_identity(id=str(made.id))
    refused(404, ErrorGeneric, identities.get_identity, id=str(made.id))


def main(public, admin):
    at_public, at_admin = (ApiClient(Configuration(host=address)) for address in (public, admin))
    person = people(FrontendApi(at_public))
    operators(IdentityApi(at_admin), person)
    assert MetadataApi(at_admin).get_version().version
    print("every answer was read")


if __name__ == "__main__":
    main(*sys.argv[1:])
