#!/usr/bin/env bash
# An authenticator app as second factor, end to end: enrol it, get twelve backup codes, and sign in with one of them.
# Needs a running server (cargo run --release -- quickstart), curl, sed and openssl. Usage: docs/walk/totp.sh [public address]
set -euo pipefail

public=${1:-http://localhost:4433}
email="totp-$RANDOM$RANDOM@example.org"
password='walk 4 mornings, slowly'
token=''

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
start() {
  answer=$(curl -sS ${token:+-H "X-Session-Token: $token"} "$public/self-service/$1/api${2:-}")
  flow=$(sed -n 's/^{"id":"\([^"]*\)".*/\1/p' <<<"$answer")
  [[ -n $flow ]] || fail "no $1 flow was made: $answer"
}
submit() {
  local out
  out=$(curl -sS -w '\n%{http_code}' ${token:+-H "X-Session-Token: $token"} -H 'Content-Type: application/json' -H 'Accept: application/json' \
    -d "$2" "$public/self-service/$1?flow=$flow")
  status=${out##*$'\n'}
  answer=${out%$'\n'*}
}

# RFC 6238 with openssl: the code of a base32 key for this moment.
totp() {
  local key step mac offset
  key=$(printf '%s' "$1" | base32 -d 2>/dev/null | od -An -vtx1 | tr -d ' \n')
  printf -v step '%016x' $(($(date +%s) / 30))
  mac=$(printf '%b' "$(sed 's/../\\x&/g' <<<"$step")" | openssl dgst -sha1 -mac HMAC -macopt "hexkey:$key" | sed 's/.*= *//')
  offset=$((16#${mac:39:1} * 2))
  printf '%06d' $(((16#${mac:offset:8} & 16#7fffffff) % 1000000))
}

start registration
submit registration "{\"method\":\"password\",\"password\":\"$password\",\"traits\":{\"email\":\"$email\"}}"
token=$(sed -n 's/^{"session_token":"\([^"]*\)".*/\1/p' <<<"$answer")
[[ $token == ory_st_* ]] || fail "sign up answered $status: $answer"
say "signed up as $email"

start settings
secret=$(sed -n 's/.*"id":1050006,"text":"\([A-Z2-7]*\)".*/\1/p' <<<"$answer")
[[ $answer == *'data:image/png;base64,'* && -n $secret ]] || fail "the settings flow shows no QR code and key"
say "the key for the app is $secret"

submit settings "{\"method\":\"totp\",\"totp_code\":\"$(totp "$secret")\"}"
[[ $status == 200 && $answer == *'"state":"success"'* ]] || fail "the code was refused with $status: $answer"
codes=$(grep -o '"id":1050009,"text":"[a-z0-9]*"' <<<"$answer" | sed 's/.*"text":"\(.*\)"/\1/')
[[ $(wc -l <<<"$codes") == 12 ]] || fail "there are not twelve backup codes"
say "enrolled; the backup codes are"
say "$codes"

token=''
start login
submit login "{\"method\":\"password\",\"identifier\":\"$email\",\"password\":\"$password\"}"
token=$(sed -n 's/^{"session_token":"\([^"]*\)".*/\1/p' <<<"$answer")
start login '?aal=aal2'
submit login "{\"method\":\"lookup_secret\",\"lookup_secret\":\"$(head -n 1 <<<"$codes")\"}"
[[ $status == 200 && $answer == *'"authenticator_assurance_level":"aal2"'* ]] || fail "the backup code answered $status: $answer"
say "signed in at aal2 with the first of them"
