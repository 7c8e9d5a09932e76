package runner

import (
	"fmt"
	"os"

	"github.com/ccrun/ccrun/runner/config"
)

// ValidateConfig checks a configuration file and prints what it comes to. Its error has every fault with its place.
func ValidateConfig(file string, sys System) error {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // "~/" then stands as it is
	}
	c, err := config.Load(config.Options{Path: file, Getenv: lookup(sys.Environ), Home: home, CheckUse: checkUse})
	if err != nil {
		return err
	}
	if _, err := priceTable(c, ""); err != nil {
		return err
	}
	if err := c.Describe(sys.Stdout); err != nil {
		return fmt.Errorf("printing the configuration: %w", err)
	}
	return nil
}
