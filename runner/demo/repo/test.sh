#!/bin/sh
# Fails while bill.sh gives the wrong total.
want=14.70
got=$(sh bill.sh bill.csv)
if [ "$got" != "$want" ]; then
  echo "FAIL: the total of bill.csv is $got, want $want"
  exit 1
fi
echo "ok: the total of bill.csv is $got"
