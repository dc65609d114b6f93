package bench

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// chart is a line chart as SVG.
type chart struct {
	Title  string
	points []point
	yLabel func(float64) string
	xLabel func(float64) string
	xTicks []float64
}

type point struct{ x, y float64 }

const (
	chartWidth, chartHeight   = 720.0, 260.0
	marginLeft, marginTop     = 70.0, 12.0
	marginRight, marginBottom = 16.0, 28.0
	plotWidth                 = chartWidth - marginLeft - marginRight
	plotHeight                = chartHeight - marginTop - marginBottom
)

// SVG draws the chart. Everything in it is a number or a label of ours.
func (c chart) SVG() template.HTML {
	var xMin, xMax, yMax = math.Inf(1), math.Inf(-1), 0.0
	for _, p := range c.points {
		xMin, xMax, yMax = min(xMin, p.x), max(xMax, p.x), max(yMax, p.y)
	}
	if xMax <= xMin {
		xMax = xMin + 1
	}
	step := roundStep(yMax / 4)
	yMax = 4 * step
	x := func(v float64) float64 { return marginLeft + plotWidth*(v-xMin)/(xMax-xMin) }
	y := func(v float64) float64 { return marginTop + plotHeight*(1-v/yMax) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label=%q>`, chartWidth, chartHeight, c.Title)
	for i := range 5 {
		v := step * float64(i)
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, marginLeft, marginLeft+plotWidth, y(v), y(v))
		fmt.Fprintf(&b, `<text x="%g" y="%.1f" text-anchor="end">%s</text>`, marginLeft-6, y(v)+4, c.yLabel(v))
	}
	for _, v := range c.xTicks {
		if v >= xMin && v <= xMax {
			fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x(v), chartHeight-8, c.xLabel(v))
		}
	}
	b.WriteString(`<polyline points="`)
	for _, p := range c.points {
		fmt.Fprintf(&b, "%.1f,%.1f ", x(p.x), y(p.y))
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}

// roundStep returns the next number that people like to count in: 1, 2 or 5 with
// zeros.
func roundStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5} {
		if v <= digit*power {
			return digit * power
		}
	}
	return 10 * power
}

// nines is the axis of a percentile chart: each step is another nine.
func nines(percent float64) float64 { return -math.Log10(1 - percent/100) }

// charts returns those for which there is something to draw.
func (r *Report) charts() (charts []chart) {
	if len(r.Latency) > 0 {
		c := chart{
			Title:  "Latency by percentile",
			yLabel: func(v float64) string { return time.Duration(v).String() },
			xLabel: func(v float64) string { return strconv.FormatFloat(100-math.Pow(10, 2-v), 'g', 6, 64) + " %" },
			xTicks: []float64{0, nines(50), 1, 2, 3, 4, 5},
		}
		for _, p := range r.Latency {
			if p.Percent < 100 { // the largest one is in the table
				c.points = append(c.points, point{nines(p.Percent), float64(p.Latency)})
			}
		}
		charts = append(charts, c)
	}
	if len(r.Series) > 1 {
		charts = append(charts,
			r.overTime("Memory of the server (RSS)", func(v float64) string { return short(v) + " MiB" },
				func(i int) float64 { return float64(r.Series[i].RSS) / (1 << 20) }),
			r.overTime("Processor time of the server", func(v float64) string { return short(v) + " %" },
				func(i int) float64 {
					if i == 0 {
						return 0
					}
					a, b := r.Series[i-1], r.Series[i]
					return 100 * (b.CPU() - a.CPU()).Seconds() / (b.Seconds - a.Seconds)
				}),
			r.overTime("Connections", short,
				func(i int) float64 { return float64(r.Series[i].Open) }))
	}
	return charts
}

// short writes a label of an axis.
func short(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (r *Report) overTime(title string, yLabel func(float64) string, y func(i int) float64) chart {
	c := chart{Title: title, yLabel: yLabel, xLabel: func(v float64) string { return short(math.Round(v)) + " s" }}
	for i, s := range r.Series {
		c.points = append(c.points, point{s.Seconds, y(i)})
	}
	first, last := r.Series[0].Seconds, r.Series[len(r.Series)-1].Seconds
	for i := range 6 {
		c.xTicks = append(c.xTicks, first+(last-first)*float64(i)/5)
	}
	return c
}
