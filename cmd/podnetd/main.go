// Podnetd keeps one node's pod network as the cluster topology file says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/podnet/podnet/cmd/cni/collect"
	"github.com/podnet/podnet/cmd/internal/options"
	"github.com/podnet/podnet/cmd/internal/privilege"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// version is set by the linker.
var version = "devel"

// The exit statuses of a daemon that did not start, or ended by itself. The service manager tries
// again only after the first.
const (
	failed  = 1 // what failed may work soon: the kernel had no memory, file or buffer to spare, or a name is taken
	refused = 2 // usage, a second daemon, or a capability that is missing
)

// passing are the errors of a host that is short of something for a moment.
func passing() []error {
	return []error{unix.ENFILE, unix.EMFILE, unix.ENOMEM, unix.ENOBUFS, unix.ENOSPC, unix.EAGAIN, unix.EINTR, unix.EIO}
}

func main() {
	// A crash ends by a signal, not with exit status 2 as Go has it: that one says that starting
	// again will not help.
	debug.SetTraceback("crash")
	diagnostics := &logWriter{to: os.Stderr}
	if err := run(os.Args[1:], diagnostics); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(diagnostics, "podnetd: %v\n", err)
		os.Exit(exitStatus(err))
	}
}

// usage is what --help says before the flags, which are as wide as podnetctl's.
const (
	usage = `podnetd keeps the pod network of this node as the cluster topology file says: at the start,
whenever the file or the kernel changes, and every --resync. podnetd.service starts it, and
podnetctl status says how it is. Each flag can also be set in the environment (PODNET_TOPOLOGY and
so on) or in /etc/default/podnetd.

Exit codes: 0 after SIGTERM, the network stays as it is; 1 it could not start, and another try may
go better; 2 it refuses to start: usage, a second podnetd, a capability that is missing.`
	helpWidth = 98
)

// gcPercent is what garbage may add to what is in use before it is collected: a pass leaves little
// of it, and a daemon that is idle most of the time should rather be small.
const gcPercent = 40

// flags are the daemon's own.
type flags struct {
	resync              time.Duration
	metricsAddr         string
	pprofAddr           string
	logFormat, logLevel string
	showVersion         bool
}

// unstarted is an error of what comes after the command line: another try may go better.
type unstarted struct{ error }

func (u unstarted) Unwrap() error { return u.error }

// exitStatus tells errors that stay from those that another try may not meet.
func exitStatus(err error) int {
	later := errors.As(err, new(unstarted)) && !errors.Is(err, agent.ErrDaemonRuns)
	if later || slices.ContainsFunc(passing(), func(e error) bool { return errors.Is(err, e) }) {
		return failed
	}
	return refused
}

func newFlags() (*pflag.FlagSet, *options.Options, *flags, error) {
	f := &flags{}
	set := pflag.NewFlagSet("podnetd", pflag.ContinueOnError)
	set.Usage = func() {
		fmt.Printf("%s\n\nUsage:\n  podnetd [flags]\n\nFlags:\n%s", usage, set.FlagUsagesWrapped(helpWidth))
	}
	shared := options.Register(set, "")
	options.Duration(set, &f.resync, "resync", 30*time.Second, time.Second,
		"how often to compare even if nothing seems to have changed")
	err := errors.Join(
		options.Address(set, &f.metricsAddr, "metrics-addr", "127.0.0.1:9472",
			"`ADDR` where /metrics, /healthz and /readyz are served; \"\": nowhere"),
		options.Address(set, &f.pprofAddr, "pprof-addr", "",
			"`ADDR` where profiles are served, such as 127.0.0.1:9473 (go tool pprof http://127.0.0.1:9473/debug/pprof/heap); \"\": nowhere"),
	)
	set.StringVar(&f.logFormat, "log-format", "text", "`FORMAT`: text or json")
	set.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	set.BoolVar(&f.showVersion, "version", false, "print the version and exit")
	return set, shared, f, err
}

func run(args []string, diagnostics io.Writer) error {
	set, shared, f, err := newFlags()
	if err != nil {
		return err
	}
	if err := set.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (podnetd --help lists the flags)", options.FlagError(err))
	}
	if f.showVersion {
		fmt.Println("podnetd", version)
		return nil
	}
	if set.NArg() > 0 {
		return operand(set)
	}
	settings, err := shared.Resolve(os.LookupEnv)
	if err != nil {
		return err
	}
	log, err := newLog(f.logFormat, f.logLevel, diagnostics)
	if err != nil {
		return err
	}
	if err := privilege.Check(); err != nil {
		return err
	}
	if err := serve(settings, *f, log); err != nil {
		return unstarted{err}
	}
	return nil
}

func newLog(format, level string, w io.Writer) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %s: write debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("--log-format %s: write text or json", format)
}

// serve wires the parts together and runs until SIGTERM.
func serve(settings agent.Settings, f flags, log *slog.Logger) error {
	presence, err := agent.HoldDaemon(settings.Paths)
	if err != nil {
		return err
	}
	defer func() { _ = presence.Release() }() // the end of the process lets go of it too
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	engine, err := agent.Open(settings)
	if err != nil {
		return err
	}
	defer engine.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)

	srv := newServer(version, engine.Kernel().Watcher.Overruns)
	warnOpen(log, "--metrics-addr", f.metricsAddr)
	warnOpen(log, "--pprof-addr", f.pprofAddr)
	srv.start(ctx, f.metricsAddr, log)
	serveProfiles(ctx, f.pprofAddr, log)
	manager := &manager{log: log}
	trust := &truster{paths: settings.Paths, log: log}
	d := &agent.Daemon{
		Engine: engine, Presence: presence, Log: log, Resync: f.resync, Version: version, Watchdog: manager.patience(),
		Passed: func(s *document.NodeStatus, p *agent.Pass) { srv.passed(s, p); manager.passed(s); trust.passed(s) },
		Turned: func() { srv.alive(); manager.alive() },
		HeldUp: func(s *document.NodeStatus) { srv.heldUp(s); manager.passed(s) },
		Collect: func(ctx context.Context, network pods.PodNetwork) error {
			return collectGarbage(ctx, settings.Paths, network, log)
		},
	}
	log.Info("podnetd starts", "version", version, "topology", settings.Paths.Topology)
	err = d.Run(ctx, hup)
	manager.stopping()
	log.Info("podnetd stops; the network stays as it is")
	return err
}

// collectGarbage looks at the node through sockets of its own, because it runs beside the loop.
func collectGarbage(ctx context.Context, paths state.Paths, network pods.PodNetwork, log *slog.Logger) error {
	node, err := kernel.Open(paths)
	if err != nil {
		return err
	}
	defer node.Close()
	g, err := collect.Run(ctx, node, network)
	if g.Len() > 0 {
		log.Info("collected what pods have left behind", "leases", len(g.Freed), "veths", g.Veths, "mappings", g.Mappings)
	}
	return err
}
