#!/bin/sh
# Built apart, for the machine that builds, and found on PATH.
printf 'let text = "stamped for %s"\n' "$1"
