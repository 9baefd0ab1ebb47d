package document

// Installed is what install did, for other programs.
type Installed struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	From       string            `json:"from"`
	To         string            `json:"to"`             // the first directory
	Also       []string          `json:"also,omitempty"` // further ones, of runtimes that do not look in the first
	Plugins    []InstalledPlugin `json:"plugins"`
	Notes      []string          `json:"notes,omitempty"` // what keeps runtimes from podnet still
}

// InstalledPlugin is what became of one plugin.
type InstalledPlugin struct {
	Name   string `json:"name"`
	Dir    string `json:"dir"`
	Result string `json:"result"` // installed, unchanged, foreign
}
