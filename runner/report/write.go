package report

import (
	"errors"
	"os"
	"path/filepath"
)

// The names of the files that Render makes.
const (
	ReportFile  = "report.json"
	SummaryFile = "summary.md"
	ResultFile  = "result.md"
)

// File is a name without a folder, and what is in it.
type File struct {
	Name string
	Data []byte
}

// Render is the report as files: the JSON, the Markdown, and the result where there is one.
func (r *Report) Render() []File {
	files := []File{{ReportFile, r.JSON()}, {SummaryFile, []byte(r.Markdown(0))}}
	if r.Result != "" {
		files = append(files, File{ResultFile, []byte(r.Result)})
	}
	return files
}

// Write writes files into dir, which is made if need be. A file is there whole or not at all, also after a crash, and one
// of an earlier call stays until it is replaced. It returns the error of each file that could not be written, by name:
// the others are there. Several calls for one folder must not overlap.
func Write(dir string, files []File) map[string]error {
	failed := map[string]error{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		for _, f := range files {
			failed[f.Name] = err
		}
		return failed
	}
	for _, f := range files {
		if err := replace(filepath.Join(dir, f.Name), f.Data); err != nil {
			failed[f.Name] = err
		}
	}
	return failed
}

// replace writes beside the final name and renames, since a rename is whole and a write is not. The name of the temporary
// file cannot be foreseen: a folder in a stranger's checkout may hold links.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
