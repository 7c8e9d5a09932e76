package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"

	prices "github.com/ccrun/ccrun/proxy/usage"
	"github.com/ccrun/ccrun/runner"
	"github.com/ccrun/ccrun/runner/agent"
)

// release is set at a release: -ldflags "-X main.release=v1.2.3".
var release string

// version is the release, else what the module system knows of the build.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (modified)"
		}
	}
	return rev + dirty
}

func versionCommand(sys runner.System) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version, the commit, and the date of the price table",
		Action: func(_ context.Context, c *cli.Command) error {
			if err := noArgs(c, "version takes none"); err != nil {
				return err
			}
			return line(sys.Stdout, "ccrun %s\ncommit %s\ngo %s %s/%s\nclaude code %s (pinned)\nprices %s",
				sys.Version, commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH, agent.Version, prices.Embedded().Date)
		},
	}
}
