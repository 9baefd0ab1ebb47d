package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// hung is how long the loop may show no sign of life before /healthz says so.
const hung = time.Minute

// server answers /metrics, /healthz and /readyz. The network does not depend on it.
type server struct {
	metrics *metrics
	inSync  atomic.Bool
	turned  atomic.Pointer[time.Time] // when the loop last did; by its monotonic clock, which nobody sets
}

// newServer makes one; overruns is what the metric of that name reads.
func newServer(version string, overruns func() uint64) *server {
	s := &server{}
	turned := func() float64 { return float64(s.turned.Load().UnixNano()) / float64(time.Second) }
	s.metrics = newMetrics(version, sources{turned: turned, overruns: overruns})
	s.alive()
	return s
}

func (s *server) passed(status *document.NodeStatus, pass *agent.Pass) {
	s.inSync.Store(status.InSync)
	s.metrics.observe(status, pass)
}

// heldUp takes in a status that no pass has come to.
func (s *server) heldUp(status *document.NodeStatus) { s.metrics.observeConditions(status) }

func (s *server) alive() {
	now := time.Now()
	s.turned.Store(&now)
}

// start serves until ctx ends.
func (s *server) start(ctx context.Context, addr string, log *slog.Logger) {
	listenAndServe(ctx, addr, s.handler(), log.With("what", "metrics and health checks", "flag", "--metrics-addr"))
}

// serveProfiles serves what `go tool pprof` reads, apart from the metrics: a profile shows more of
// the program than a scraper has to see, and taking one costs time. http.DefaultServeMux, where the
// package puts itself, is served nowhere.
func serveProfiles(ctx context.Context, addr string, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // heap, allocs, goroutine and the like by name
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	listenAndServe(ctx, addr, mux, log.With("what", "profiles", "flag", "--pprof-addr"))
}

// listenAndServe serves until ctx ends; "" is nowhere. A port that is taken is reported and no
// more: the network does not depend on it.
func listenAndServe(ctx context.Context, addr string, handler http.Handler, log *slog.Logger) {
	if addr == "" {
		return
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		log.Error("not served: choose another address", "error", err)
		return
	}
	callers := &connections{}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ConnState: callers.changed}
	context.AfterFunc(ctx, func() { srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("no longer served", "error", err)
		}
	}()
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", answer("the loop does not turn", func() bool {
		return time.Since(*s.turned.Load()) < hung
	}))
	mux.HandleFunc("GET /readyz",
		answer("the network does not equal the topology in force (podnetctl status)", s.inSync.Load))
	return mux
}

func answer(no string, ask func() bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if !ask() {
			http.Error(w, no, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n")) // a caller that is gone needs no answer
	}
}
