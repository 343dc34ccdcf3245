# bench/curve.awk: rows of samplers.sh -> a plot as SVG: tokens/s (a log axis) against the
# perplexity of samples, one line per sampler.
#
#   awk -v floor=1.87 -f curve.awk rows >curve.svg
#
# A row is "sampler knob steps evaluations tokens/s perplexity ...", in order of steps. `floor` is
# the perplexity of real text, drawn as a line. Both axes are logarithmic: a perplexity is a
# power. Grey has a contrast of 4.5 on white and on black, the colours 3 and more; samplers of one
# family share a colour and differ by their dashes, and by filled or open points.

function log10(x) { return log(x) / log(10) }
function px(x) { return left + (log10(x) - x0) / (x1 - x0) * (right - left) }
function py(y) { return bottom - (log10(y) - y0) / (y1 - y0) * (bottom - top) }

function style(name, colour, dash, open) {
  colours[name] = colour
  dashes[name] = dash
  fills[name] = open ? "none" : colour
}

# A tick where the digit is 1, 2 or 5; on a short axis each digit.
function is_tick(digit, decades) {
  return digit == 1 || digit == 2 || digit == 5 || (decades < 1 && digit != 7 && digit != 9)
}

function ticks_x(power, digit, value) {
  for (power = floor_of(x0); power <= x1; power++)
    for (digit = 1; digit <= 9; digit++) {
      value = digit * 10 ^ power
      if (log10(value) < x0 - 1e-9 || log10(value) > x1 + 1e-9 || !is_tick(digit, x1 - x0)) continue
      printf "<path d=\"M%.1f,%dV%d\" stroke=\"%s\"/>\n", px(value), bottom, bottom + 6, grey
      printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
        px(value), bottom + 23, short(value)
    }
}

function ticks_y(power, digit, value) {
  for (power = floor_of(y0); power <= y1; power++)
    for (digit = 1; digit <= 9; digit++) {
      value = digit * 10 ^ power
      if (log10(value) < y0 - 1e-9 || log10(value) > y1 + 1e-9 || !is_tick(digit, y1 - y0)) continue
      printf "<path d=\"M%d,%.1fH%d\" stroke=\"%s\" stroke-opacity=\"0.25\"/>\n",
        left, py(value), right, grey
      printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
        left - 8, py(value) + 5, value
    }
}

function floor_of(x) { return int(x + 1000) - 1000 }
function short(x) { return x >= 1000 ? x / 1000 "k" : x "" }

function draw(name, i, points) {
  points = ""
  for (i = 1; i <= counts[name]; i++)
    points = points sprintf("%s%.1f,%.1f", i > 1 ? "L" : "M", px(rate[name, i]),
      py(perplexity[name, i]))
  if (counts[name] > 1)
    printf "<path d=\"%s\" fill=\"none\" %s/>\n", points, stroke(name)
  for (i = 1; i <= counts[name]; i++)
    printf "<circle cx=\"%.1f\" cy=\"%.1f\" %s><title>%s</title></circle>\n",
      px(rate[name, i]), py(perplexity[name, i]), point(name), label[name, i]
}

function stroke(name) {
  return sprintf("stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"", colours[name],
    dashes[name])
}

function point(name) {
  return sprintf("r=\"3.5\" fill=\"%s\" stroke=\"%s\" stroke-width=\"1.5\"", fills[name],
    colours[name])
}

function legend(name, y) {
  if (counts[name] > 1) printf "<path d=\"M%d,%dh30\" %s/>\n", right + 20, y, stroke(name)
  printf "<circle cx=\"%d\" cy=\"%d\" %s/>\n", right + 35, y, point(name)
  printf "<text x=\"%d\" y=\"%d\">%s</text>\n", right + 58, y + 5, name
}

BEGIN {
  width = 900; height = 520; left = 70; right = 700; top = 24; bottom = 452; grey = "#767676"
  style("ancestral", "#3b82f6", "", 0); style("first-hitting", "#3b82f6", "", 1)
  style("origin", "#3b82f6", "2 4", 1); style("random", "#3b82f6", "8 4", 0)
  style("left", "#767676", "", 0)
  style("confidence", "#e0660b", "", 0); style("margin", "#e0660b", "8 4", 1)
  style("entropy", "#e0660b", "2 4", 0)
  style("threshold", "#16a34a", "", 0); style("factor", "#16a34a", "8 4", 1)
  style("remdm-cap", "#c026d3", "", 0); style("remdm-rescale", "#c026d3", "8 4", 1)
  style("remdm-conf", "#c026d3", "2 4", 0); style("remdm-loop", "#c026d3", "10 3 2 3", 1)
}

{
  if (!($1 in counts)) names[++series] = $1
  if (!($1 in colours)) style($1, grey, "", 0)
  i = ++counts[$1]
  rate[$1, i] = $5
  perplexity[$1, i] = $6
  label[$1, i] = sprintf("%s, %d steps: %.0f tokens/s, %.2f", $1, $3, $5, $6)
  if (NR == 1 || $5 < low_x) low_x = $5
  if (NR == 1 || $5 > high_x) high_x = $5
  if (NR == 1 || $6 < low_y) low_y = $6
  if (NR == 1 || $6 > high_y) high_y = $6
}

END {
  if (NR == 0) exit
  if (floor && floor < low_y) low_y = floor
  x0 = log10(low_x / 1.15); x1 = log10(high_x * 1.15)
  y0 = log10(low_y / 1.06); y1 = log10(high_y * 1.06)
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" ",
    width, height, width, height
  printf "role=\"img\" font-family=\"sans-serif\" font-size=\"14\" fill=\"%s\">\n", grey
  print "<title>tokens per second against the perplexity of samples, for each sampler</title>"
  printf "<path d=\"M%d,%dH%d\" stroke=\"%s\"/>\n", left, bottom, right, grey
  ticks_x(); ticks_y()
  printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">tokens per second</text>\n",
    (left + right) / 2, bottom + 48
  printf "<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">",
    (top + bottom) / 2
  print "perplexity of samples, per byte</text>"
  if (floor) {
    printf "<path d=\"M%d,%.1fH%d\" stroke=\"%s\" stroke-width=\"1.5\" stroke-dasharray=\"3 3\"/>\n",
      left, py(floor), right, grey
    printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">text held out</text>\n", right,
      py(floor) - 6
  }
  for (i = 1; i <= series; i++) draw(names[i])
  for (i = 1; i <= series; i++) legend(names[i], top + 24 * i)
  print "</svg>"
}
