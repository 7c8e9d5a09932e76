package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ccrun/ccrun/proxy/usage"
)

// LoadPrices reads a file of prices, in JSON5, JSON or YAML: rows as in the price table, and the windows that they name.
//
//	rows:
//	  - {provider: deepseek, model: deepseek-chat, input: "0.27", output: "1.10", cache_read: "0.07"}
func LoadPrices(file string) (usage.Overrides, error) {
	var o usage.Overrides
	data, err := read(file)
	if err != nil {
		return o, fmt.Errorf("%s: %w", file, err)
	}
	doc, faults := parse(data, strings.ToLower(filepath.Ext(file)))
	if len(faults) > 0 {
		return o, &Error{File: file, Faults: faults}
	}
	// The tree is written as JSON, which the rows know how to read: a price keeps its digits where it is a string.
	text, err := json.Marshal(doc)
	if err != nil {
		return o, fmt.Errorf("%s: %w", file, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, fmt.Errorf("%s: %w", file, err)
	}
	if len(o.Rows) == 0 {
		return o, fmt.Errorf("%s: %w", file, errors.New(`no "rows": want a list of prices`))
	}
	return o, nil
}
