package portmap

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// attempt executes the plugin for one of many attachments, without a pod behind it, and has it
// killed after a while unless that is 0. It returns what it printed if it failed.
func (h *host) attempt(verb string, n int, killAfter time.Duration) string {
	backend, _, _ := strings.Cut(h.kind, "-")
	conf, err := json.Marshal(map[string]any{
		"cniVersion": "1.1.0", "name": "net", "type": "portmap", "backend": backend, "podnet": map[string]any{"records": h.records},
		"runtimeConfig": map[string]any{"portMappings": []map[string]any{
			{"hostPort": 10000 + n, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 10000 + n, "containerPort": 80, "protocol": "udp"}}},
		"prevResult": map[string]any{"ips": []map[string]any{{"address": fmt.Sprintf("10.1.0.%d/24", n+2)}, {"address": fmt.Sprintf("fd00:1::%d/64", n+2)}}},
	})
	if err != nil {
		return err.Error()
	}
	cmd := exec.Command(filepath.Join(lab.Program("cni"), "portmap"))
	cmd.Env = append(os.Environ(), "PATH="+h.path, "CNI_COMMAND="+verb, fmt.Sprintf("CNI_CONTAINERID=pod%d", n), "CNI_NETNS=/ns", "CNI_IFNAME=eth0", "CNI_PATH=/")
	cmd.Stdin = strings.NewReader(string(conf))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if killAfter > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), killAfter)
		defer cancel()
	}
	out, err := h.Run(ctx, cmd)
	if killAfter == 0 && (err != nil || out.Code != 0) {
		return fmt.Sprint(verb, " of pod", n, ": ", err, out.Stdout, out.Stderr)
	}
	return ""
}

// crowd does something for many attachments, eight at a time.
func (h *host) crowd(size int, f func(n int) string) {
	h.T.Helper()
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8)
	for n := range size {
		slots <- struct{}{}
		wait.Go(func() {
			if fault := f(n); fault != "" {
				h.T.Errorf("%s", fault)
			}
			<-slots
		})
	}
	wait.Wait()
}

// Calls that come at once do not lose, mix up or leave anything.
func TestCrowd(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		h.crowd(24, func(n int) string { return h.attempt("ADD", n, 0) })
		all := h.rules()
		for n := range 24 {
			if !strings.Contains(all, fmt.Sprint(10000+n)) {
				t.Errorf("port %d is not there", 10000+n)
			}
		}
		h.crowd(24, func(n int) string { return h.attempt("CHECK", n, 0) })
		h.crowd(24, func(n int) string {
			if n%2 == 0 {
				return ""
			}
			return h.attempt("DEL", n, 0) + h.attempt("ADD", n, 0) + h.attempt("CHECK", n, 0)
		})
		same(t, "rules after some came and went", h.rules(), all)
		h.crowd(24, func(n int) string { return h.attempt("DEL", n, 0) })
		same(t, "rules after all DELs", h.rules(), "")
	})
}

// Whenever an ADD is killed a second one makes it whole, and a DEL takes it all away; whenever a
// DEL is killed a second one finishes it. What other pods have stays.
func TestKilled(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		if fault := h.attempt("ADD", 100, 0); fault != "" {
			t.Fatal(fault)
		}
		before := h.rules()
		const seed = 1
		random := rand.New(rand.NewPCG(seed, seed))
		for range 25 {
			moment := time.Duration(random.IntN(15000)) * time.Microsecond
			h.attempt("ADD", 1, moment)
			if random.IntN(2) == 0 {
				if fault := h.attempt("ADD", 1, 0) + h.attempt("CHECK", 1, 0); fault != "" {
					t.Error(fault)
				}
				h.attempt("DEL", 1, moment)
			}
			if fault := h.attempt("DEL", 1, 0) + h.attempt("CHECK", 100, 0); fault != "" {
				t.Error(fault)
			}
			same(t, fmt.Sprintf("rules after a kill at %s (seed %d)", moment, seed), h.rules(), before)
		}
	})
}
