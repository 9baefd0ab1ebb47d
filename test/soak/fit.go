package main

import "slices"

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func highest(values []float64) float64 { return slices.Max(values) }

// slope is that of the line with the least squares through the points.
func slope(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var covariance, variance float64
	for i := range x {
		covariance += (x[i] - mx) * (y[i] - my)
		variance += (x[i] - mx) * (x[i] - mx)
	}
	if variance == 0 {
		return 0
	}
	return covariance / variance
}
