package report

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	for _, in := range []Input{
		{Provisional: true, Conclusion: Cancelled, Reason: "cancelled", Result: "long ago"},
		{Conclusion: Success, Reason: "ok", Result: "Done."},
	} {
		r := Build(in)
		if failed := Write(dir, r.Render()); len(failed) != 0 {
			t.Fatal(failed)
		}
		for file, want := range map[string]string{"report.json": string(r.JSON()), "summary.md": r.Markdown(0), "result.md": in.Result} {
			if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", file, got, err, want)
			}
		}
	}
	if got, want := names(t, dir), []string{"report.json", "result.md", "summary.md"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestWriteGoesOnAfterAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "report.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	failed := Write(dir, []File{{"report.json", []byte("{}")}, {"summary.md", []byte("x")}})
	if len(failed) != 1 || failed["report.json"] == nil {
		t.Errorf("errors %v", failed)
	}
	if got, want := names(t, dir), []string{"report.json", "summary.md"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestWriteWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	failed := Write(file, []File{{"a", nil}, {"b", nil}})
	if len(failed) != 2 || failed["a"] == nil || failed["b"] == nil {
		t.Errorf("errors %v", failed)
	}
}

// A stranger's checkout may hold links where the output folder is.
func TestWriteDoesNotFollowALink(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "report.json")); err != nil {
		t.Fatal(err)
	}
	if failed := Write(dir, []File{{"report.json", []byte("{}")}}); len(failed) != 0 {
		t.Fatal(failed)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
		t.Errorf("the link was followed: %q, %v", got, err)
	}
}
