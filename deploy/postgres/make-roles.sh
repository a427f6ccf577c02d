#!/usr/bin/env bash
# Run once by the PostgreSQL image, on an empty data folder.
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
roles=${ROLES_SQL:-/etc/rapport/roles.sql}

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=template1 --file="$roles"
for role in migrator app backup; do
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=template1 \
        --set=role="$role" --set=password="$(cat "$secrets/${role}_password")" \
        <<<"ALTER ROLE :\"role\" PASSWORD :'password'"
done
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
    --command="CREATE DATABASE rapport OWNER migrator"
