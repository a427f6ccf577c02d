#!/usr/bin/env bash
# A dump a day, KEEP_DAYS of them; whole or not there. `once` makes one and ends; `restore DUMP KEYS`
# reads them back, as role `migrator`, into an empty database, or changes nothing. Of the wrapped keys
# only the newest dump is kept, so that no older one still holds the key of a client who was erased.
# Left out are sessions, whose keys would open what is signed in, and large objects, of which Rapport
# has none and role `backup` may read none.
set -euo pipefail

# A dump gives what it should and takes nothing away, so tables are made without the default privileges
# (deploy/postgres/roles.sql): with them, `app` could change the audit trail. Look-ups belong to
# `lookup`, which may own something new only while it may make it.
restore() {
    {
        echo 'BEGIN;'
        echo 'ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM app;'
        echo 'ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM app;'
        echo 'GRANT CREATE ON SCHEMA public TO lookup;'
        for file in "$@"; do pg_restore --file=- "$file"; done # one that breaks off is never committed
        echo 'REVOKE CREATE ON SCHEMA public FROM lookup;'
        echo "UPDATE public.core_sending SET database = 'read back';" # so that it sends nothing by itself
        echo 'ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;'
        echo 'ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO app;'
        echo 'COMMIT;'
    } | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null
    echo "restored $1"
}
if [ "${1:-}" = restore ]; then
    restore "${@:2}"
    exit
fi

folder=${BACKUP_FOLDER:?folder for the dumps}
export PGPASSWORD
PGPASSWORD=$(cat "${PASSWORD_FILE:-/run/secrets/backup_password}")
umask 077
mkdir -p "$folder"

dump() {
    local target
    target="$folder/rapport-$(date -u +%Y-%m-%dT%H%M%SZ).dump"
    rm -f "$folder"/*.partial # of a dump that broke off: nobody would delete it after KEEP_DAYS
    pg_dump --format=custom --no-large-objects --exclude-table-data=django_session \
        --exclude-table-data=core_practicekey --exclude-table-data=core_clientkey \
        --file="$target.partial" \
        && pg_dump --format=custom --data-only --table=core_practicekey --table=core_clientkey \
            --file="$folder/keys.partial" \
        && mv "$target.partial" "$target" && mv "$folder/keys.partial" "$folder/keys.dump" \
        || return 1
    find "$folder" -name 'rapport-*.dump' -mtime "+${KEEP_DAYS:-30}" -delete
    echo "saved $target"
}

if [ "${1:-}" = once ]; then
    dump
    exit
fi
trap 'exit 0' TERM INT
while true; do
    # A failed dump is tried again in ten minutes; the health check turns red after 26 hours.
    if dump; then pause=86400; else pause=600; fi
    sleep "$pause" &
    wait $!
done
