#!/bin/sh
# Adds up the amounts of a bill: one "item,quantity,cents" a line.
# usage: sh bill.sh FILE
total=0
while IFS=, read -r item quantity cents; do
  total=$((total + cents))
done <"$1"
printf '%d.%02d\n' $((total / 100)) $((total % 100))
