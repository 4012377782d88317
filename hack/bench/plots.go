package main

import (
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Who is drawn in which color. They differ in brightness too, for those who print in grey.
var (
	operatorColor      = color.RGBA{R: 0x1f, G: 0x4e, B: 0x9c, A: 0xff}
	operatorLightColor = color.RGBA{R: 0x6f, G: 0xa8, B: 0xe8, A: 0xff}
	bareColor          = color.RGBA{R: 0xc4, G: 0x56, B: 0x0e, A: 0xff}
	bareLightColor     = color.RGBA{R: 0xf2, G: 0xb0, B: 0x6b, A: 0xff}
)

// curve is one line of a plot.
type curve struct {
	name  string
	color color.Color
	at    plotter.XYs
	dots  bool
}

// cumulative is how many were done at each moment.
func cumulative(seconds []float64) plotter.XYs {
	at := plotter.XYs{}
	for i, x := range slices.Sorted(slices.Values(seconds)) {
		at = append(at, plotter.XY{X: x, Y: float64(i + 1)})
	}
	return at
}

// draw makes a plot of curves; edit may change it before it is saved.
func draw(path, title, x, y string, edit func(*plot.Plot), curves ...curve) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(6)
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = false, false
	for _, c := range curves {
		if len(c.at) == 0 {
			continue
		}
		if c.dots {
			dots, err := plotter.NewScatter(c.at)
			if err != nil {
				return fmt.Errorf("drawing %s: %w", path, err)
			}
			dots.Color, dots.Radius = c.color, vg.Points(1.5)
			p.Add(dots)
			p.Legend.Add(c.name, dots)
			continue
		}
		line, err := plotter.NewLine(c.at)
		if err != nil {
			return fmt.Errorf("drawing %s: %w", path, err)
		}
		line.Color, line.Width = c.color, vg.Points(1.8)
		p.Add(line)
		p.Legend.Add(c.name, line)
	}
	if edit != nil {
		edit(p)
	}
	if err := p.Save(16*vg.Centimeter, 10*vg.Centimeter, path); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return nil
}

// stormPlot shows one storm: the lateness of everybody.
type stormPlot struct {
	size                                               int
	operatorClosed, operatorTold, bareTold, bareClosed []float64
}

func (s stormPlot) save(folder string) error {
	path := filepath.Join(folder, plotsFolder, fmt.Sprintf("storm-%d.png", s.size))
	return draw(path, thousands(s.size)+" users expire in the same second", "seconds after the instant", "users", nil,
		curve{name: "operator: access closed", color: operatorColor, at: cumulative(s.operatorClosed)},
		curve{name: "operator: status says so", color: operatorLightColor, at: cumulative(s.operatorTold)},
		curve{name: "bare client: grants only", color: bareColor, at: cumulative(s.bareClosed)},
		curve{name: "bare client: all writes", color: bareLightColor, at: cumulative(s.bareTold)},
	)
}
