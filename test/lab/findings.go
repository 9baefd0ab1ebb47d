package lab

import (
	"os"
	"path/filepath"
	"regexp"
)

// Findings returns the id of every finding in the source of doctor, which has at least twenty.
func Findings(t TB) (ids []string) {
	t.Helper()
	finding := regexp.MustCompile(
		`"([a-z]+(?:-[a-z]+)+)", (?:Severity: )?(?:document\.Severity(?:Error|Warning)|severity)`)
	files, err := filepath.Glob(filepath.Join(SourceTree(), "reconcile/doctor/*.go"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, id := range finding.FindAllStringSubmatch(string(source), -1) {
			ids = append(ids, id[1])
		}
	}
	if len(ids) < 20 {
		t.Fatalf("%d findings in doctor's source", len(ids))
	}
	return ids
}
