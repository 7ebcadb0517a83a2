#!/bin/sh
# icl predict and icl check on people's own files: what CSV may look like, which rows are context,
# scale, order, output, plots, and advice.
#
#     tests/test_predict.sh build/icl
#
# Ends with "predict: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

. "$(dirname "$0")/command.sh"
csv=$(cd "$(dirname "$0")" && pwd)/csv
root=$(cd "$(dirname "$0")/.." && pwd)
curves=$root/examples/models/curves.safetensors    # d = 1
tab=$(printf '\t')

# The answer: what stands after the last separator of the last line, with a decimal point.
answer() { tail -n 1 "$t/out" | sed -e "s/.*[;|$tab ]//" -e t -e 's/.*,//' | tr , . | tr -d '"'; }
answers() { [ "$status" -eq 0 ] && [ "$(answer)" = "$1" ]; }

# reads NAME TEXT ARGS...: the answer is $y, and nothing is said.
reads() {
  name=$1
  input "$2"
  shift 2
  run predict "$@"
  ok "$name: the answer" answers "$y"
  ok "$name: nothing on stderr" silent err
}

# notes NAME NOTE TEXT ARGS...: the answer is $y, and stderr has one line with NOTE.
notes() {
  name=$1 note=$2
  input "$3"
  shift 3
  run predict "$@"
  ok "$name: the answer" answers "$y"
  ok "$name: one line on stderr" one_line err
  ok "$name: says '$note'" says err "$note"
}

# faults NAME SAYS TEXT ARGS...: exit 1 and one line with SAYS.
faults() {
  name=$1 text=$2
  input "$3"
  shift 3
  refuses "$name" "$text" predict "$@"
}

# ----- what CSV looks like ------------------------------------------------------------------------

input '1,2.1\n2,3.9\n3,6.2\n4,?\n'
run predict
y=$(answer)
ok "four rows: exit 0" exits 0
ok "four rows: nothing on stderr" silent err
ok "four rows: the query and a number" says out '^4,[0-9]*\.[0-9]*$'
number() { awk -v y="$1" 'BEGIN { exit !(y > 6 && y < 10) }'; }
ok "four rows: not far from a line" number "$y"

reads "empty y asks" '1,2.1\n2,3.9\n3,6.2\n4,\n'
reads "byte order mark" '\357\273\2771,2.1\n2,3.9\n3,6.2\n4,?\n'
reads "byte order mark, quotes" '\357\273\277"x","y"\n1,2.1\n2,3.9\n3,6.2\n4,?\n'
reads "CR LF" '1,2.1\r\n2,3.9\r\n3,6.2\r\n4,?\r\n'
reads "CR" '1,2.1\r2,3.9\r3,6.2\r4,?\r'
reads "no end of the last line" '1,2.1\n2,3.9\n3,6.2\n4,?'
reads "^Z at the end" '1,2.1\n2,3.9\n3,6.2\n4,?\n\032'
reads "^Z within the last line" '1,2.1\n2,3.9\n3,6.2\n4,?\032'
reads "semicolons" '1;2.1\n2;3.9\n3;6.2\n4;?\n'
reads "tabs" '1\t2.1\n2\t3.9\n3\t6.2\n4\t?\n'
reads "--separator space" '1 2.1\n2   3.9\n 3 6.2 \n4 ?\n' --separator space
reads "--separator of one's own" '1|2.1\n2|3.9\n3|6.2\n4|?\n' --separator '|'
reads "--separator tab" '1\t2.1\n2\t3.9\n3\t6.2\n4\t?\n' --separator tab
reads "decimal commas, semicolons" '1,0;2,1\n2,0;3,9\n3,0;6,2\n4,0;?\n'
ok "decimal commas: the answer has one too" says out '^4,0;[0-9]*,[0-9]*$'
reads "decimal commas, tabs" '1,0\t2,1\n2,0\t3,9\n3,0\t6,2\n4,0\t?\n'
reads "blanks and tabs around commas" '1,\t2.1\n 2 ,3.9\n3\t,\t6.2 \n4, ?\n'
reads "quoted numbers" '"1","2.1"\n"2","3.9"\n"3","6.2"\n"4","?"\n'
reads "one quoted line is data" '"1","2.1"\n2,3.9\n3,6.2\n4,\n'
reads "header" 'x,y\n1,2.1\n2,3.9\n3,6.2\n4,\n'
ok "header: again" says out '^x,y$'
reads "quoted header" '"x","y"\n1,2.1\n2,3.9\n3,6.2\n4,\n'
ok "quoted header: as written" says out '^"x","y"$'
reads "comma within quotes" '"distance, m","force ""raw"""\n1,2.1\n2,3.9\n3,6.2\n4,\n'
ok "comma within quotes: as written" says out '^"distance, m","force ""raw"""$'
reads "line end within quotes" '"distance\nm",y\n1,2.1\n2,3.9\n3,6.2\n4,\n'
reads "header with semicolons" 'x;y\n1;2.1\n2;3.9\n3;6.2\n4;\n'
reads "header in UTF-8" 'l\303\244nge,y\n1,2.1\n2,3.9\n3,6.2\n4,\n'
reads "comma after every row" '1,2.1,\n2,3.9,\n3,6.2,\n4,?,\n'
reads "comma after every row, empty y" '1,2.1,\n2,3.9,\n3,6.2,\n4,,\n'
reads "comma after every row and the header" 'x,y,\n1,2.1,\n2,3.9,\n3,6.2,\n4,,\n'
reads "comma after the rows only" 'x,y\n1,2.1,\n2,3.9,\n3,6.2,\n4,,\n'
reads "rows of nothing but commas" '1,2.1\n,,\n2,3.9\n,\n3,6.2\n4,?\n,,,\n'
reads "blank lines, comments with quotes" '# "a\n\n1,2.1\n \t\n2,3.9\n\v\n# b, "c\n3,6.2\n4,?\n'
reads "comments with as many commas" 'x,y\n1,2.1\n# a, b\n2,3.9\n#c\n#c,d,e\n3,6.2\n4,?\n'
notes "comments that could be rows" 'comments that could be rows: 2, the first in line 2;' \
  'x,y\n#N/A,2\n1,2.1\n2,3.9\n#1,7\n3,6.2\n4,?\n'
notes "a comment that could be a row" 'comments that could be rows: 1, the first in line 5;' \
  'x;y\n#,5\n1;2.1\n2;3.9\n#;7\n3;6.2\n4;?\n'
reads "no-break space" '1,\302\2402.1\n2,3.9\n3,6.2\n4,?\n'
reads "plus and exponents" '+1,2.1E+00\n2e0,39e-1\n3.,6.2\n4,?\n'
reads "denormal numbers are 0" '1,2.1\n2,3.9\n3,6.2\n4,?\n'
reads "--header" 'x,2020\n1,2.1\n2,3.9\n3,6.2\n4,\n' --header
reads "--skip-na without any" '1,2.1\n2,3.9\n3,6.2\n4,?\n' --skip-na
notes "--skip-na" 'left out 5 rows without a value, line 2 ' \
  '1,2.1\n2,NA\nnan,1\n,3\ninf,4\n2,3.9\n3,6.2\nN/A,?\n4,?\n' --skip-na
notes "index without a name" 'column 1 (without a name) holds row names' \
  ',x,y\n0,1,2.1\n1,2,3.9\n2,3,6.2\n3,4,\n'
notes "rownames" 'column 1 (rownames) holds row names' \
  'rownames,x,y\n1,1,2.1\n2,2,3.9\n3,3,6.2\n4,4,\n'
notes "row names of text" 'column 1 (name) holds row names' \
  'name,x,y\nann,1,2.1\nbob,2,3.9\ncid,3,6.2\ndee,4,\n'
notes "row names without a header" 'column 1 (no header) holds row names' \
  'ann,1,2.1\nbob,2,3.9\ncid,3,6.2\ndee,4,\n'
reads "an index as the only input" 'index,y\n1,2.1\n2,3.9\n3,6.2\n4,\n'
notes "dates" 'dates of column 1 are read as days' \
  'day,y\n2024-02-28,2.1\n2024-02-29,3.9\n2024-03-01,6.2\n2024-03-02,\n'
ok "dates: as written" says out '^2024-03-02,'
notes "times of day" 'read as days' \
  '2024-12-31T18:00,2.1\n2025-01-01 00:00:00,3.9\n2025-01-01T06:00:00.0Z,6.2\n2025-01-01T12:00,?\n'
notes "like thousands" 'numbers such as 1,234 were read as 1.234' \
  '1,000;2,100\n2,000;3,900\n3,000;6,200\n4,000;?\n'
input '1,\342\210\2222.1\n2,-3.9\n3,-6.2\n4,?\n'
run predict
ok "U+2212 is a minus sign" says out '^4,-'

faults "blanks between columns" '--separator space' '1 2.1\n2 3.9\n3 ?\n'
faults "one column" 'line 1 has one column' '1\n2\n'
faults "decimal comma between commas" '--decimal ,' '"1,5",2\n2,?\n'
faults "thousands" "'1,234.5' is not a number (write it without separators of thousands)" \
  'x,y\n1,"1,234.5"\n2,?\n'
faults "point, then comma" '--decimal says which' '1.5;2\n2,5;3\n3;?\n'
faults "comma, then point" '--decimal says which' '1,5;2\n2.5;3\n3;?\n'
faults "--decimal ." 'line 1, field 1' '1,5;2\n2;?\n' --decimal .
faults "UTF-16" 'UTF-16: save the file as UTF-8' '\377\3761\0,\0002\0\n\0'
faults "UTF-16 of the other kind" 'UTF-16: save the file as UTF-8' '\376\377\0001\0,\0002\0\n'
faults "UTF-16 without a mark" 'UTF-16, save the file as UTF-8' '1\0,\0002\0\n\0'
faults "a quote that is never closed" 'line 2: a quote is never closed' '1,2\n"2,3\n3,?\n'
faults "a quote after a no-break space, never closed" 'line 1: a quote is never closed' '1,\302\240"2\n2,3\n3,?\n'
faults "text after a quote" 'line 2: text after a closing quote' '1,2\n"2"x,3\n3,?\n'
faults "NA as y" "line 2, field 2: 'NA' stands for no value (an empty y or ? asks; --skip-na" '1,2\n2,NA\n3,?\n'
faults "NA as x" "line 3, field 1 (x): 'NA' stands for no value (--skip-na" 'x,y\n1,2\nNA,?\n'
faults "empty x" "line 2, field 1: '' is empty (--skip-na" '1,2\n,3\n3,?\n'
faults "infinity" 'line 2, field 1' '1,2\ninf,3\n3,?\n'
faults "beyond double" "line 1, field 2: '1e400' is not a finite number" '1,1e400\n2,3\n3,?\n'
faults "? as x" 'in the column of y only' '1,2\n?,3\n'
faults "hexadecimal" "line 1, field 1: '0x1p0' is not a number" '0x1p0,2\n2,3\n3,?\n'
faults "underscore" "'1_000' is not a number" '1_000,2\n2,3\n3,?\n'
faults "Fortran's exponent" "'1D0' is not a number" '1D0,2\n2,3\n3,?\n'
faults "percent" 'without the %' '1,2%%\n2,3\n3,?\n'
faults "true" 'write 1 and 0' '1,true\n2,3\n3,?\n'
faults "comment after a number" "'2.1 # first' is not a number" '1,2.1 # first\n2,3\n3,?\n'
faults "units" 'a line of units' 'x,y\ns,m\n1,2\n2,3\n3,?\n'
faults "header with a number" '--header' 'x,2020\n1,2\n2,3\n3,\n'
faults "header with nan" '--header' 'x,nan\n1,2\n2,3\n3,\n'
faults "other dates" 'write dates as 2024-05-01' '1/2/2024,2\n2/2/2024,3\n3/2/2024,?\n'
faults "times of day" 'of day in hours' '10:30,2\n11:00,2\n11:30,?\n'
faults "no such day" "'2023-02-29' is not a number" '2023-02-28,2\n2023-02-29,3\n2023-03-01,?\n'
faults "a date among numbers" 'is a date, the rows above have numbers' '1,2\n2024-01-01,3\n3,?\n'
faults "a number among dates" 'is not a date' '2024-01-01,2\n2,3\n3,?\n'
faults "a date as y" 'is a date, and y is a number' '1,2024-01-01\n2,?\n'
faults "text among numbers" "line 3, field 2 (b): 'red' is not a number (--x and --y choose columns)" \
  'a,b,c\n1,2,3\n2,red,4\n3,4,?\n'
faults "a number among row names" 'line 2, field 1' 'l,2,3\n2,3,4\n3,4,?\n'
faults "a short row" 'line 2 has 2 fields, the first row has 3' '1,2,3\n1,2\n'
faults "a long row" 'line 3 has 3 fields, the header has 2' 'x,y\n1,2\n1,2,3\n'
faults "R's row names" 'row.names = FALSE' 'x,y\n1,2,3\n'
faults "only a header" 'no row has a y' 'x,y\n'
faults "an empty file" 'there are no rows' ''
faults "no pairs" 'no row has a y' '5,?\n6,?\n'
for s in ab . -; do
  input '1,2\n2,?\n'
  misused "--separator $s" predict --separator "$s"
done
misused "--decimal ;" predict --decimal ';'

for f in rownames write_csv mtcars pandas; do
  run predict "$csv/$f.csv"
  ok "$f.csv: exit 0" exits 0
  ok "$f.csv: names its row names" says err 'column 1 .* holds row names'
  ok "$f.csv: two lines" lines 2
done
for f in excel_de mac pandas; do
  run predict "$csv/$f.csv"
  [ $f = excel_de ] && run predict "$csv/$f.csv" --decimal ,
  ok "$f.csv: the answer" answers "$y"
done
refuses "excel_utf16.txt" 'UTF-16' predict "$csv/excel_utf16.txt"
run predict "$csv/logger.csv"
ok "logger.csv: the gap" says out "^2024-05-01T02:00${tab}10\."

reads "sep=;" 'sep=;\r\n1;2,1\r\n2;3,9\r\n3;6,2\r\n4;?\r\n'
input '"1,0","2,1"\n"2,0","3,9"\n"3,0","6,2"\n"4,0",?\n'
run predict --decimal ,
ok "decimal commas between commas: quoted" says out "^\"4,0\",\"$(echo "$y" | tr . ,)\"\$"

# ----- columns ------------------------------------------------------------------------------------

table='id,y,a,b\nu,2.1,1,red\nv,3.9,2,red\nw,6.2,3,blue\nx,,4,blue\n'
reads "--x and --y by name" "$table" --x a --y y
ok "--x and --y: what is printed" says out "^a,y$"
reads "--x and --y by number" "$table" --x 3 --y 2
reads "a name with a comma" 'y,"a, b"\n2.1,1\n3.9,2\n6.2,3\n,4\n' --x 'a, b' --y y
reads "--y alone" 'y,a\n2.1,1\n3.9,2\n6.2,3\n,4\n' --y y
reads "--x alone: y is the last of the rest" 'a,y\n1,2.1\n2,3.9\n3,6.2\n4,\n' --x a
faults "--x: no such column" 'the columns are id, y, a, b' "$table" --x c --y y
faults "--x: no such number" "no column '5'" "$table" --x 5 --y y
faults "--x twice" 'twice' "$table" --x a,a --y y
faults "--x is --y" 'both x and y' "$table" --x y --y y
faults "no header" 'no header, and columns 1 to 2' '1,2\n2,?\n' --x a
input 'a,b,c,y\n1,2,3,4\n2,3,3,5\n3,3,4,?\n'
run predict --x c,a --y y
ok "the order of --x" says out '^4,3,'

# ----- which rows are context ----------------------------------------------------------------------

reads "queries above and between" '4,?\n1,2.1\n2,3.9\n4,?\n3,6.2\n'
ok "queries above and between: both" lines 2
ok "queries above and between: the same answer" test "$(sed -n 1p "$t/out")" = "$(sed -n 2p "$t/out")"
faults "--stream: nothing above" 'line 1 asks before' '4,?\n1,2.1\n' --stream
input '1,2.1\n2,3.9\n2.5,?\n3,6.2\n4,?\n'
run predict --stream --keep-order
ok "--stream: two answers" lines 2
cp "$t/out" "$t/stream"
input '1,2.1\n2,3.9\n2.5,?\n'
run predict --keep-order
head -n 1 "$t/stream" >"$t/first"
ok "--stream: the rows above only" same "$t/out" "$t/first"
input '9,9\n1,2.1\n2,3.9\n3,6.2\n4,?\n'
run predict --stream --max-context 3
cp "$t/out" "$t/window"
input '1,2.1\n2,3.9\n3,6.2\n4,?\n'
run predict --stream
ok "--stream --max-context: the last rows" same "$t/out" "$t/window"
input '1,2\n2,3\n3,5\n5,?\n-1,?\n'
run predict --stream
ok "--stream: near enough" eval 'exits 0 && lines 2 && ! says err "beyond the rows"'
input '1,2\n2,3\n3,5\n5.01,?\n1e3,?\n'
run predict --stream
ok "--stream: too far, said once" test "$(grep -c 'line 4: beyond the rows' "$t/err")-$(grep -c 'trust neither' "$t/err")" = 1-1
ok "--stream: too far, how often" says err '^icl predict: 2 queries were so far beyond$'
input '1.1,1\n1.2,2\n1.3,?\n'
run predict
ok "one step on an even grid is not too far" eval 'exits 0 && ! says err "beyond the rows"'
input '1,2.1\n2,3.9\n3,6.2\n4,?\n'
for o in '--at 1' '--grid 3' '--plot -'; do misused "--stream $o" predict --stream $o; done

rows() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "%.6f,%.6f\n", i, sin(i / 9) }'; }
near() { awk -v y="$(answer)" -v to="$1" -v by="$2" 'BEGIN { d = y - to; exit !(d * d < by * by) }'; }
{ rows 200; echo '50.5,?'; } >"$t/in"
run predict "$curves"
ok "more rows than it was trained with: exit 0" exits 0
ok "more rows than it was trained with: near the truth" near -0.6266 0.1
limited=$t/limited.safetensors                             # learned positions: 16 pairs
"$icl" train --task dense --dims 1 --pairs 17 --layers 1 --width 16 --steps 20 -o "$limited" 2>/dev/null
run predict "$limited"
ok "more rows than fit: exit 0" exits 0
ok "more rows than fit: says so" says err '200 rows have a y; the model gets [0-9]* of them, spread evenly'
run predict "$curves" --max-context 20
ok "--max-context: nothing on stderr" silent err
ok "--max-context: one answer" lines 1
misused "--max-context: more than the model takes" predict "$model" --max-context 11
misused "--pairs and --max-context" predict "$model" --pairs 3 --max-context 3
{ rows 30 | tac 2>/dev/null || rows 30; } >"$t/reversed"
{ rows 30; echo '29,?'; } >"$t/in"
run predict "$curves"
cp "$t/out" "$t/once"
ok "30 rows in order: near the truth" near -0.0794 0.3
run predict "$curves" --keep-order
ok "--keep-order: the same where the order does not count" same "$t/out" "$t/once"
{ rows 12; echo '11,?'; } >"$t/in"
run predict "$limited"
cp "$t/out" "$t/once"
run predict "$limited"
ok "the shuffle is the same each time" same "$t/out" "$t/once"
run predict "$limited" --keep-order
ok "--keep-order: another answer" eval '! same "$t/out" "$t/once"'
run predict "$unbounded" --keep-order
cp "$t/out" "$t/kept"
run predict "$unbounded"
ok "a model without positions: no shuffle" same "$t/out" "$t/kept"

# ----- scale --------------------------------------------------------------------------------------

offset() {   # offset X Y: the data of $y, with so much added
  awk -v x="$1" -v y="$2" 'BEGIN { n = split("2.1 3.9 6.2", v, " ")
    for (i = 1; i <= n; i++) printf "%.0f,%.1f\n", x + 60 * i, y + v[i]
    printf "%.0f,?\n", x + 240 }' >"$t/in"
}
offset 1700000000 0
run predict
ok "time stamps: the answer" answers "$y"
ok "time stamps: as written" says out '^1700000240,'
offset 0 1e9
run predict --digits 17
ok "y of 1e9: the answer" near "$(echo "$y" | awk '{ printf "%.6f", 1e9 + $1 }')" 0.001
run predict
ok "y of 1e9: digits that tell the rows apart" says out '^240,10000000[0-9][0-9]*\.[0-9]'
reads "Julian days" '2460310.1,2.1\n2460310.2,3.9\n2460310.3,6.2\n2460310.4,?\n'
input '20240101,2.1\n20240102,3.9\n20240103,6.2\n20240104,?\n'
run predict
ok "dates as numbers: a note" eval 'exits 0 && lines 1 && says err "column 1 is read as numbers; if these are dates"'
reads "tiny x" '1e-30,2.1\n2e-30,3.9\n3e-30,6.2\n4e-30,?\n'
reads "huge x" '1e300,2.1\n2e300,3.9\n3e300,6.2\n4e300,?\n'
input '1,3e38\n2,-3e38\n3,3e38\n4,?\n'
run predict
ok "y at the end of float" exits 0
input '1,5000\n2,5000\n4,?\n'
run predict
ok "constant y: the answer" says out '^4,5000\.00$'
ok "constant y: says so" says err 'the only y is 5000, and so is every answer$'
run predict --surprise
ok "constant y: no surprise" says out '^4,5000\.00,$'
run predict --interval 0.9
ok "constant y: no width" says err 'every answer; intervals have no width and say nothing$'
input '5000,1\n5000,2\n5000,3\n5000,?\n6000,?\n'
run predict
ok "constant x: the same answer everywhere" test "$(sed -n 1p "$t/out" | cut -d, -f2)" = "$(sed -n 2p "$t/out" | cut -d, -f2)"
ok "constant x: says so" says err 'x is the same in all rows'
input '5,7\n5,?\n6,?\n'
run predict
ok "one pair: its y" says out '^6,7\.00000$'
faults "a query out of all bounds" 'line 3: x is too far' '1,2\n2,3\n1e300,?\n'
input '0.1,1,0.3\n-1,0.5,-1\n2,2,?\n'
run predict "$model"
ok "padding: exit 0" exits 0
run predict "$model" --raw
ok "--raw: near data, no warning of their scale" eval '! says err raw'
for bad in '1,1000\n2,2000\n3,?\n' '0,1\n100,2\n200,0\n300,1\n400,?\n' '20,1\n21,0\n22,1\n23,?\n' '1,300\n2,300\n3,?\n'; do
  input "$bad"
  run predict "$curves" --raw
  ok "--raw: warns of $bad" says err '^icl predict: --raw: [xy] has mean'
  ok "--raw: and answers" exits 0
done
misused "--raw and --standardize" predict --raw --standardize
faults "more inputs than the model" 'line 1 has 2 inputs, the model takes 1' '1,2,3\n' "$curves"
faults "more inputs than any bundled model" 'line 2 has 11 inputs; no bundled model' \
  '# c\n1,2,3,4,5,6,7,8,9,10,11,12\n'

# ----- what is asked and printed --------------------------------------------------------------------

input '1.50,2.1\n2,3.9\n3,6.2\n+4.0,?\n004,\n4e0,\n"4",\n'
run predict
ok "x as written" eval 'says out "^+4.0," && says out "^004," && says out "^4e0," && says out "^\"4\","'
input '1,2.1\n2,3.9\n3,6.2\n'
run predict --at 4,5
ok "--at: two answers" lines 2
ok "--at: as in a file" says out "^4,$y\$"
run predict --at=4
ok "--at: one" answers "$y"
ok "nothing else asks" silent err
run predict --at '3,5;4'
ok "--at with semicolons: decimal commas, printed as the file has them" eval 'lines 2 && says out "^3.5,"'
run predict --at 3,5,7.01,-1.01
ok "--at: beyond the rows by more than these reach" says err 'x = 7.01 and others: beyond the rows'
run predict --at 3.5,5,-1
ok "--at: a little beyond" silent err
input '"1,5","2,1"\n"2,5","3,1"\n"3,5","4,2"\n'
run predict --decimal , --at 4.5
ok "--at in a file of commas only: quotes" says out '^"4,5","'
run predict --decimal , --grid 3
ok "--grid in a file of commas only: quotes" says out '^"2,5","'
input '1,2.1\n2,3.9\n3,6.2\n'
misused "--at: no number" predict --at 4,x
misused "--at: empty" predict --at ''
run predict --grid 5
ok "--grid: five answers" lines 5
ok "--grid: the ends and the middle" eval 'says out "^1," && says out "^1.5," && says out "^3,"'
misused "--grid 1" predict --grid 1
input '1,2,3\n4,5,6\n2,2,5\n'
refuses "--grid with two inputs" 'one input' predict --grid 3
refuses "--plot with two inputs" 'one input' predict --plot -
run predict --at 1,2,3,3
ok "--at with two inputs" eval 'lines 2 && says out "^1,2," && says out "^3,3,"'
misused "--at with half a query" predict --at 1,2,3
input 'day,y\n2024-02-28,2.1\n2024-02-29,3.9\n2024-03-01,6.2\n'
run predict --at 2024-03-02
ok "--at with a date" says out "^2024-03-02,$y\$"
run predict --grid 3
ok "--grid of dates" says out '^2024-02-29,'
run predict --at 5
ok "--at with a number among dates: exit 2" exits 2
ok "--at with a number among dates: says so" says err 'the file has dates there'
run predict --grid 4
ok "--grid of dates: times of day" says out '^2024-02-28T16:00:00,'
input '1;2,1\n2;3,9\n3;6,2\n'
run predict --at 4 --grid 2
ok "semicolons: --at and --grid" eval 'lines 3 && says out "^4;" && says out "^1;"'
input 'x,y\n1,2.1\n2,3.9\n'
run predict
ok "nothing asks: exit 0" exits 0
ok "nothing asks: nothing on stdout" silent out
ok "nothing asks: a note" says err 'no row asks for a y: .*--at or --grid'

input '1,2.1\n2,3.9\n3,6.2\n4,?\n'
run predict --digits 3
ok "--digits" says out '^4,[0-9]\.[0-9][0-9]$'
run predict --digits 12
ok "--digits: more" says out '^4,[0-9]\.[0-9]\{11\}$'
ok "six digits otherwise" eval 'echo "$y" | grep -q "^[0-9]\.[0-9]\{5\}$"'
run predict --surprise
ok "--surprise: one more column" says out "^4,$y,-\{0,1\}[0-9.e-]*\$"
input 'x,y\n1,2.1\n2,3.9\n3,6.2\n4,?\n'
run predict --surprise
ok "--surprise: in the header" says out '^x,y,surprise$'
refuses "--interval of a model without quantiles" 'no intervals: it has no quantiles' \
  predict "$model" --interval 0.9
misused "--interval 90" predict --interval 90
refuses "--interval beyond the quantiles" '^icl: curves: --interval is 0.95 at most: the model' predict --interval 0.99
run predict --interval 0.9 --surprise
if says err 'has no quantiles'; then
  skip "--interval: the bundled model has no quantiles"
else
  ok "--interval: header" says out '^x,y,lo,hi,surprise$'
  ok "--interval: lo, y, hi" eval 'tail -n 1 "$t/out" | awk -F, "{ exit !(\$3 <= \$2 && \$2 <= \$4 && \$3 < \$4) }"'
  run predict --interval 0.5
  ok "--interval: a header without surprise" says out '^x,y,lo,hi$'
fi

# ----- models and files -----------------------------------------------------------------------------

input '1,2.1\n2,3.9\n3,6.2\n4,?\n'
cp "$t/in" "$t/data.csv"
run predict
cp "$t/out" "$t/plain"
run predict "$t/data.csv"
ok "a file" same "$t/out" "$t/plain"
run predict -
ok "-" same "$t/out" "$t/plain"
run predict "$curves" "$t/data.csv"
ok "the bundled model is examples/models/curves" same "$t/out" "$t/plain"
run predict "$curves"
ok "a model, and rows of stdin" same "$t/out" "$t/plain"
cp "$curves" "$t/weights.bin"
run predict "$t/weights.bin"
ok "a model by its first bytes" same "$t/out" "$t/plain"
refuses "a model that is not there" 'm.safetensors' predict "$t/m.safetensors"
refuses "a file that is not there" 'No such file' predict "$t/none.csv"
refuses "two CSV files" 'data.csv: not a model (MODEL comes first' predict "$t/data.csv" "$t/data.csv"
refuses "a model behind the file" 'data.csv: not a model (MODEL comes first' predict "$t/data.csv" "$curves"
refuses "icl check of two CSV files" 'data.csv: not a model (MODEL comes first' check "$t/data.csv" "$t/data.csv"
misused "three operands" predict "$curves" "$t/data.csv" "$t/data.csv"

# ----- plots --------------------------------------------------------------------------------------

input 'hours,"grams, dry"\n1,2.1\n2,3.9\n3,6.2\n4,\n5,9.8\n'
run predict --plot "$t/p.svg"
ok "--plot: exit 0" exits 0
ok "--plot: the answers too" says out '^4,'
ok "--plot: SVG" grep -q '^<svg' "$t/p.svg"
ok "--plot: names of the columns" eval 'grep -q hours "$t/p.svg" && grep -q "grams, dry" "$t/p.svg"'
ok "--plot: all series" eval 'grep -q ">model<\|>model, 90" "$t/p.svg" && grep -q given "$t/p.svg" && grep -q answers "$t/p.svg"'
refuses "--plot: does not overwrite" 'is there already' predict --plot "$t/p.svg"
run predict --plot "$t/p.svg" --force
ok "--plot --force: exit 0" exits 0
run predict --plot "$t/p.png"
if says err 'libstb-dev'; then skip "--plot: PNG, built without libstb-dev"
else ok "--plot: PNG" test "$(head -c 8 "$t/p.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a; fi
misused "--plot: other kind of picture" predict --plot "$t/p.jpg"
refuses_plot() { run predict --plot "$t/none/p.svg"; exits 1; }
ok "--plot: cannot be written" refuses_plot
run predict --plot -
ok "--plot -: points, answers, curve" eval 'grep "|" "$t/out" | grep -q o && grep "|" "$t/out" | grep -q x && grep "|" "$t/out" | grep -q "\.\."'
ok "--plot -: 20 rows" test "$(grep -c '|' "$t/out")" -eq 20
ok "--plot -: 72 columns" test "$(awk '{ if (length($0) > n) n = length($0) } END { print n }' "$t/out")" -eq 72
ok "--plot -: labelled" eval 'says out hours && says out "grams, dry"'
refuses "--plot: an interval beyond the quantiles" '0.95 at most' predict --plot - --interval 0.99
input '\303\244\303,y\n1,2\n2,3\n'
run predict --plot "$t/p.svg" --force
ok "--plot: a byte that is no letter" grep -q "$(printf '>\303\244?<')" "$t/p.svg"
input '3,4\n3,5\n'
run predict --plot -
ok "--plot: one x" exits 0
input '1700000000,5\n1700000060,6\n1700000120,5\n'
run predict --plot "$t/p.svg" --force
ok "--plot: time stamps at the axis" grep -q '>1700000[01][0-9]*<' "$t/p.svg"
input '1,100000\n2,150000\n3,250000\n'
run predict --plot "$t/far.svg" --force
ok "--plot: short numbers at the axis" eval 'grep -q ">1e5<\|>2e5<" "$t/far.svg" && ! grep -q ">200000<" "$t/far.svg"'

# Numbers so large that 1 more is the same: time stamps of 17 digits, x or y far from 0.
far_plot() {
  input "$1"
  timeout 60 "$icl" predict --plot "$t/far.svg" --force <"$t/in" >"$t/out" 2>"$t/err" && grep -q '</svg>' "$t/far.svg"
}
ok "--plot: time stamps of 17 digits" far_plot '20240501123000123,1\n20240501123000123,2\n20240501123000123,?\n'
ok "--plot: x far from 0" far_plot '100000000000000000,1\n100000000000000016,2\n100000000000000032,?\n'
ok "--plot: y far from 0" far_plot '1,100000000000000000\n2,100000000000000016\n3,?\n'
input '1,-8e307\n2,-4e307\n3,0\n4,4e307\n5,8e307\n6,1.2e308\n30,?\n'
run predict --interval 0.9
ok "an interval beyond all numbers: exit 1" exits 1
ok "... and no infinity" eval '! grep -q inf "$t/out"'

# ----- check --------------------------------------------------------------------------------------

awk 'BEGIN { print "x,y"; for (i = 1; i <= 20; i++) printf "%d,%d\n", i, 3 * i + 7; print "30," }' >"$t/line.csv"
run check "$t/line.csv"
ok "check: a line is better on a line: exit 3" exits 3
ok "check: nothing on stderr" silent err
for name in 'the model (curves)' 'Gaussian process' 'joining the dots' '3 nearest neighbours' \
  'ridge regression' 'straight line (least squares)' 'mean'; do ok "check: $name" says out "^  $name  *[0-9]"; done
ok "check: 20 rows" says out '^20 rows, each predicted from the others'
ok "check: advice" says out '^Use a straight line (least squares) instead: the error is 100 % smaller'
ok "check: a row that asks" says out '^  at the rows without y, ridge regression answers [0-9.]* widths of that interval away'
sed '$d' "$t/line.csv" >"$t/asks-nothing.csv"
run check "$t/asks-nothing.csv" --json
ok "check --json: no rows that ask" says out '"ridge_apart": null'
run check "$t/line.csv" --json
ok "check --json: exit 3" exits 3
ok "check --json: one line" lines 1
ok "check --json: how far ridge is at the row that asks" says out '"ridge_apart": [0-9]'
ok "check --json: what to use" says out '"use": "line"'
ok "check --json: error of the line" sh -c "sed 's/.*\"line\": \([0-9.e-]*\).*/\1/' '$t/out' | awk '{ exit !(\$1 < 1e-6) }'"

# Leave-one-out by hand: mean, joining the dots, neighbours and line of 0 1 4 9 16 at 0 .. 4.
printf '0,0\n1,1\n2,4\n3,9\n4,16\n' >"$t/squares.csv"
run check "$t/squares.csv" --json
value() { sed "s/.*\"$1\": \([-0-9.e]*\).*/\1/" "$t/out"; }
is() { awk -v a="$(value "$1")" -v b="$2" 'BEGIN { d = a / b - 1; exit !(d * d < 1e-8) }'; }
ok "check: mean" is mean 7.373940602
ok "check: dots" is dots 3.255764119
ok "check: knn" is knn 5.758086102
ok "check: line" is line 3.473661833

# The model's error is that of icl predict with the row taken out.
by_hand() {
  for i in 1 2 3 4 5; do
    awk -F, -v i=$i 'NR == i { print $1 ",?"; y = $2; next } { print }' "$t/squares.csv" |
      "$icl" predict --digits 12 | sed "s/$/,$(sed -n ${i}p "$t/squares.csv" | cut -d, -f2)/"
  done | awk -F, '{ d = $2 - $3; s += d * d } END { printf "%.9g", sqrt(s / NR) }'
}
ok "check: the model" is model "$(by_hand)"

awk 'BEGIN { srand(3); for (i = 0; i < 200; i++) printf "%f,%f,%f\n", sin(i), cos(7 * i), rand() }' >"$t/noise.csv"
run check "$t/noise.csv"
ok "check: nothing but noise" says out 'The inputs say little about y\|Use the mean of y instead'
ok "check: 64 of 200" says out '^64 of 200 rows'
ok "check: no dots in two dimensions" eval '! says out "joining the dots"'
awk 'BEGIN { for (i = 0; i < 20; i++) printf "%d,%f\n", i, sin(i / 3) }' >"$t/wave.csv"
run check "$t/wave.csv" --json
ok "check: a Gaussian process on a smooth curve" eval 'awk -v g="$(value gp)" -v d="$(value dots)" "BEGIN { exit !(g < d / 3) }"'
input '1,5\n2,5\n3,5\n4,5\n'
run check -
ok "check: constant y" says out '^All y are the same'
ok "check: constant y: exit 0" exits 0
ok "check: constant y: no surprise" eval '! says out "^  surprise"'
input '1,5\n2,5\n3,?\n'
refuses "check: two rows" '3 or more' check -
input '1,2,3,4\n2,2,2,2\n1,1,1,2\n3,2,1,1\n4,4,1,0\n'
run check - --x 1,2 --y 4
ok "check: --x and --y" says out '^5 rows'
input '1,2\n2,3\nNA,3\n3,5\n'
refuses "check: NA" 'line 3, field 1' check -
run check - --skip-na
ok "check: --skip-na" says out '^3 rows'
misused "check: no file" check
misused "check: only a model" check "$curves"
misused "check: --max-context" check "$model" "$t/noise.csv" --max-context 11

done_with predict
