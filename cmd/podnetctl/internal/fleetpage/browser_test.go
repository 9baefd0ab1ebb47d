package fleetpage

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

//go:embed testdata/look.js
var look string

// looks is what the browser says of the page: see testdata/look.js.
type looks struct {
	Tiles, Bars int
	Faults      []string
	Colours     map[string]string // by state, of the boxes as they were drawn
}

// TestInBrowser has a real browser, which has no network here, draw the page: few nodes and many,
// light and dark, on a desk and on a telephone.
func TestInBrowser(t *testing.T) {
	lab.Need(t) // the browser is killed with the namespace, and finds no network in it
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (apt-get install chromium; make e2e does it)")
	}
	for _, c := range []struct {
		nodes, width, height int
		dark                 bool
	}{{3, 1160, 900, false}, {3, 420, 1400, true}, {30, 1160, 1900, true}, {30, 420, 1600, false}, {300, 1160, 2600, false}, {300, 1160, 2600, true}, {300, 420, 1400, true}} {
		theme := map[bool]string{false: "light", true: "dark"}[c.dark]
		t.Run(fmt.Sprintf("%d-%s-%d", c.nodes, theme, c.width), func(t *testing.T) {
			b := browserRun{t: t, program: browser, dark: c.dark, width: c.width, height: c.height}
			var text bytes.Buffer
			if err := Write(&text, status(t, c.nodes), topology(t, c.nodes)); err != nil {
				t.Fatal(err)
			}
			got := b.measure(text.String())
			for _, fault := range got.Faults {
				t.Error(fault)
			}
			if got.Tiles != c.nodes || got.Bars != c.nodes-1 {
				t.Errorf("%d nodes and %d bars are drawn, want %d and one less: the missing one has none", got.Tiles, got.Bars, c.nodes)
			}
			b.screenshot(text.String(), got.Colours)
		})
	}
}

type browserRun struct {
	t             *testing.T
	program       string
	dark          bool
	width, height int
}

func (b browserRun) run(page string, flags ...string) []byte {
	b.t.Helper()
	dir := b.t.TempDir()
	file := filepath.Join(dir, "fleet.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		b.t.Fatal(err)
	}
	scheme := map[bool]string{true: "0", false: "1"}[b.dark]
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--blink-settings=preferredColorScheme=" + scheme, fmt.Sprintf("--window-size=%d,%d", b.width, b.height)}, flags...)
	cmd := exec.CommandContext(b.t.Context(), b.program, append(args, "file://"+file)...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	return out
}

// measure has a script look at the page from within, which the page's own policy does not allow.
func (b browserRun) measure(page string) looks {
	b.t.Helper()
	page = strings.Replace(page, "default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'", 1)
	dom := b.run(strings.Replace(page, "</body>", "<script>"+look+"</script></body>", 1), "--dump-dom")
	found := regexp.MustCompile(`(?s)<pre id="looks">(.*?)</pre>`).FindSubmatch(dom)
	if found == nil {
		b.t.Fatalf("the script did not run:\n%.2000s", dom)
	}
	var got looks
	if err := json.Unmarshal(bytes.ReplaceAll(found[1], []byte("&amp;"), []byte("&")), &got); err != nil {
		b.t.Fatal(err)
	}
	return got
}

// screenshot finds every state's colour in what the page looks like. FLEET_PICTURES names a
// directory to keep it in.
func (b browserRun) screenshot(page string, colours map[string]string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "fleet.png")
	if dir := os.Getenv("FLEET_PICTURES"); dir != "" {
		file = filepath.Join(dir, strings.ReplaceAll(b.t.Name(), "/", "-")+".png")
	}
	b.run(page, "--screenshot="+file)
	data, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	seen := map[string]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			r, g, b, _ := picture.At(x, y).RGBA()
			seen[fmt.Sprintf("rgb(%d, %d, %d)", r>>8, g>>8, b>>8)]++
		}
	}
	const some = 300 // pixels; a box has thousands
	for state, colour := range colours {
		if seen[colour] < some && b.width > 1000 {
			b.t.Errorf("%s: %d pixels of %s are in the picture", state, seen[colour], colour)
		}
	}
}
