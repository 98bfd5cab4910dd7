#!/usr/bin/env bash
# The settings flow as an app speaks it: JSON and a session token, no cookies.
# Needs a running server (cargo run --release -- quickstart), curl and sed. Usage: docs/walk/api.sh [public address]
set -euo pipefail

public=${1:-http://localhost:4433}
email="app-$RANDOM$RANDOM@example.org"
password='walk 4 mornings, slowly'
token=''

member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

# Starts a flow and keeps its id; the id is the first member of the answer.
start() {
  flow=$(curl -sS ${token:+-H "X-Session-Token: $token"} "$public/self-service/$1/api" | sed -n 's/^{"id":"\([^"]*\)".*/\1/p')
  [[ -n $flow ]] || fail "no $1 flow was made"
}

# Sends JSON to the flow; the body lands in $answer, the status in $status.
submit() {
  local out
  out=$(curl -sS -w '\n%{http_code}' ${token:+-H "X-Session-Token: $token"} -H 'Content-Type: application/json' -H 'Accept: application/json' \
    -d "$2" "$public/self-service/$1?flow=$flow")
  status=${out##*$'\n'}
  answer=${out%$'\n'*}
}

start registration
submit registration "{\"method\":\"password\",\"password\":\"$password\",\"traits\":{\"email\":\"$email\",\"name\":{\"first\":\"Ada\",\"last\":\"Walker\"}}}"
[[ $status == 200 ]] || fail "sign up answered $status: $answer"
token=$(member session_token <<<"$answer")
[[ $token == ory_st_* ]] || fail "sign up gave no session token"
say "signed up as $email"

status=$(curl -sS -o /dev/null -w '%{http_code}' -H "X-Session-Token: $token" "$public/sessions/whoami")
[[ $status == 200 ]] || fail "whoami answered $status"
say "the session token is good"

start settings
submit settings "{\"method\":\"profile\",\"traits\":{\"email\":\"$email\",\"name\":{\"first\":\"Augusta\",\"last\":\"Walker\"}}}"
[[ $status == 200 && $answer == *'"state":"success"'* && $answer == *Augusta* ]] || fail "the profile change answered $status: $answer"
say "profile changed"

renewed='walk 5 evenings, slowly'
submit settings "{\"method\":\"password\",\"password\":\"$renewed\"}"
[[ $status == 200 && $answer == *'"state":"success"'* ]] || fail "the password change answered $status: $answer"
say "password changed"

submit settings '{"method":"password","password":"short"}'
[[ $status == 400 && $answer == *4000032* ]] || fail "a short password answered $status: $answer"
say "a short password is refused, with the reason at its field"

status=$(curl -sS -o /dev/null -w '%{http_code}' -X DELETE -H 'Content-Type: application/json' -d "{\"session_token\":\"$token\"}" "$public/self-service/logout/api")
[[ $status == 204 ]] || fail "signing out answered $status"
status=$(curl -sS -o /dev/null -w '%{http_code}' -H "X-Session-Token: $token" "$public/sessions/whoami")
[[ $status == 401 ]] || fail "the token still works after signing out ($status)"
token=''
start login
submit login "{\"method\":\"password\",\"identifier\":\"$email\",\"password\":\"$renewed\"}"
[[ $status == 200 && $answer == *session_token* ]] || fail "signing in with the new password answered $status: $answer"
say "signed out, and in again with the new password"
