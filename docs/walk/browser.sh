#!/usr/bin/env bash
# The settings flow as a browser speaks it: cookies, a CSRF token, forms and redirects.
# Needs a running server (cargo run --release -- quickstart), curl and sed. Usage: docs/walk/browser.sh [public address]
set -euo pipefail

public=${1:-http://localhost:4433}
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT
email="browser-$RANDOM$RANDOM@example.org"
password='walk 4 mornings, slowly'

# The first match of a JSON string member; enough for the flat facts that this walk needs.
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
token() { sed -n 's/.*"name":"csrf_token","type":"hidden","value":"\([^"]*\)".*/\1/p' | head -n 1; }
say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

# 1. A browser opens a page: 303 to the page that shows the new flow.
open() {
  local location
  location=$(curl -sS -b "$jar" -c "$jar" -o /dev/null -w '%{redirect_url}' -H 'Accept: text/html' "$public/self-service/$1/browser")
  flow=${location##*flow=}
  [[ $location == *flow=* ]] || fail "$1 did not lead to a page with a flow, but to '$location'"
  body=$(curl -sS -b "$jar" -c "$jar" -H 'Accept: application/json' "$public/self-service/$1/flows?id=$flow")
  csrf=$(token <<<"$body")
  [[ -n $csrf ]] || fail "the $1 flow has no CSRF token"
}

# 2. It posts the form that the page shows, and follows where it is sent.
post() {
  local kind=$1
  shift
  curl -sS -b "$jar" -c "$jar" -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Accept: text/html' -H "Origin: $public" \
    --data-urlencode "csrf_token=$csrf" "$@" "$public/self-service/$kind?flow=$flow"
}

open registration
answer=$(post registration --data-urlencode "method=password" --data-urlencode "password=$password" \
  --data-urlencode "traits.email=$email" --data-urlencode "traits.name.first=Ada" --data-urlencode "traits.name.last=Walker")
[[ $answer == 303* ]] || fail "sign up answered $answer"
say "signed up as $email"

identity=$(curl -sS -b "$jar" -H 'Accept: application/json' "$public/sessions/whoami" | sed -n 's/.*"identity":{"id":"\([^"]*\)".*/\1/p')
[[ -n $identity ]] || fail "whoami does not know the cookie"
say "signed in as identity $identity"

# 3. Settings: change the profile. All traits are sent, also the untouched ones.
open settings
answer=$(post settings --data-urlencode "method=profile" --data-urlencode "traits.email=$email" \
  --data-urlencode "traits.name.first=Augusta" --data-urlencode "traits.name.last=Walker")
[[ $answer == 303* ]] || fail "the profile change answered $answer"
body=$(curl -sS -b "$jar" -H 'Accept: application/json' "$public/self-service/settings/flows?id=$flow")
[[ $(member state <<<"${body##*\"organization_id\":null\},}") == success || $body == *'"state":"success"'* ]] || fail "the profile was not stored"
[[ $body == *Augusta* ]] || fail "the new name is not shown"
say "profile changed"

# 4. Settings: change the password.
open settings
renewed='walk 5 evenings, slowly'
answer=$(post settings --data-urlencode "method=password" --data-urlencode "password=$renewed")
[[ $answer == 303* ]] || fail "the password change answered $answer"
say "password changed"

# 5. A form without its CSRF token is refused: the browser is sent to the error page.
open settings
csrf=''
answer=$(post settings --data-urlencode "method=password" --data-urlencode "password=never stored 123")
[[ $answer == 303*error* ]] || fail "a form without a CSRF token answered $answer"
say "a form without its token is refused"

# 6. Sign out, and in again with the new password.
logout=$(curl -sS -b "$jar" -H 'Accept: application/json' "$public/self-service/logout/browser" | member logout_url)
curl -sS -b "$jar" -c "$jar" -o /dev/null -H 'Accept: text/html' "${logout//\\u0026/&}"
status=$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' "$public/sessions/whoami")
[[ $status == 401 ]] || fail "still signed in after signing out ($status)"
open login
answer=$(post login --data-urlencode "method=password" --data-urlencode "identifier=$email" --data-urlencode "password=$renewed")
[[ $answer == 303* ]] || fail "signing in with the new password answered $answer"
status=$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' "$public/sessions/whoami")
[[ $status == 200 ]] || fail "not signed in with the new password ($status)"
say "signed out, and in again with the new password"
