#!/bin/sh
exec /usr/local/bin/node /opt/fast/fast-ctl.mjs "$@"
