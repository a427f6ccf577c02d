# Caddy without root: its folders belong to the user it runs as, and it needs no capability.
FROM caddy:2.11
RUN setcap -r /usr/bin/caddy && chown -R 10002:10002 /data /config
USER 10002:10002
