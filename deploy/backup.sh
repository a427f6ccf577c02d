#!/usr/bin/env bash
# A dump a day, KEEP_DAYS of them; whole or not there. `once` makes one and ends. Of the wrapped keys
# only the newest dump is kept, so that no older one still holds the key of a client who was erased.
# Left out are sessions, whose keys would open what is signed in, and large objects, of which Rapport
# has none and role `backup` may read none.
set -euo pipefail

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
