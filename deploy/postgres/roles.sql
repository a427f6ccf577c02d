-- Who may do what in PostgreSQL: the one list for the embedded engines and for docker-compose.yml.
-- Run once by the superuser, connected to template1, so that every database made later (the test
-- databases too) carries the same privileges. Passwords are set by whoever runs this file.

-- Owns the schema and changes it; may read across practices to migrate data; never serves a request.
CREATE ROLE migrator LOGIN CREATEDB BYPASSRLS NOSUPERUSER NOCREATEROLE;
-- Serves: web and worker. Row-level security always binds it.
CREATE ROLE app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
-- Reads everything for a dump and writes nothing.
CREATE ROLE backup LOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT pg_read_all_data TO backup;

ALTER DEFAULT PRIVILEGES FOR ROLE migrator
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrator
    GRANT USAGE, SELECT ON SEQUENCES TO app;

-- Owns the few functions that must look across practices (apps/core/tenancy.py); nobody signs in as it.
CREATE ROLE lookup NOLOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT lookup TO migrator;
