# A header with its comments blanked and its strings emptied, each line behind
# "FILE:LINE>>section<TAB>".  Sections start with a comment line "* >>name", "===== >>name" for those
# of the declarations.
FNR == 1 { section = ""; inside = 0 }
{
  if (match($0, /^( \*|\/\* =+) >>[a-z0-9]+/)) {
    section = substr($0, RSTART, RLENGTH)
    sub(/.*>>/, "", section)
  }
  line = $0
  out = ""
  while (line != "") {
    if (inside) {
      i = index(line, "*/")
      if (!i) break
      line = substr(line, i + 2)
      inside = 0
    } else if (substr(line, 1, 2) == "/*") {
      inside = 1
      line = substr(line, 3)
    } else if (substr(line, 1, 2) == "//") {
      break
    } else if (match(line, /^"([^"\\]|\\.)*"/)) {
      out = out "\"\""
      line = substr(line, RLENGTH + 1)
    } else if (match(line, /^'([^'\\]|\\.)*'/)) {
      out = out "0"
      line = substr(line, RLENGTH + 1)
    } else if (match(line, /^[^\/"']+/)) {
      out = out substr(line, 1, RLENGTH)
      line = substr(line, RLENGTH + 1)
    } else {
      out = out substr(line, 1, 1)
      line = substr(line, 2)
    }
  }
  print FILENAME ":" FNR ">>" section "\t" out
}
