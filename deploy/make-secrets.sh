#!/bin/sh
# Makes the secrets that compose.yaml names; those that are there stay.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
new() { [ -e "secrets/$1" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"secrets/$1"; }
new database_password
new s3_secret
[ -e secrets/database_url ] ||
    printf 'postgresql://registry:%s@database/registry' "$(cat secrets/database_password)" >secrets/database_url
# Users in the containers read them; the folder keeps other users of this machine out.
chmod 0644 secrets/*
