package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v3"

	"github.com/ccrun/ccrun/runner"
)

func configCommand(sys runner.System) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check a configuration",
		Commands: []*cli.Command{{
			Name:      "validate",
			Usage:     "check a configuration file, and say what it comes to",
			UsageText: "ccrun config validate FILE",
			ArgsUsage: "FILE",
			Action: func(_ context.Context, c *cli.Command) error {
				if c.Args().Len() != 1 {
					return errors.New("config validate takes one file")
				}
				return runner.ValidateConfig(c.Args().First(), sys)
			},
		}},
		Action: func(_ context.Context, c *cli.Command) error {
			if name := c.Args().First(); name != "" {
				return unknownCommand(c, name)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}
