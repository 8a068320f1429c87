package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/version"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which Agora this is, and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v := struct {
				version.Build
				Go       string `json:"go"`
				Platform string `json:"platform"`
				Vulkan   bool   `json:"vulkan"` // the binary has the backend; doctor says whether there is a device
			}{version.Read(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, vulkan.Compiled}
			if asJSON {
				return printJSON(c.OutOrStdout(), v)
			}
			with := "with Vulkan"
			if !v.Vulkan {
				with = "without Vulkan"
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "agora %s, %s, %s, %s\n", v.Build, v.Go, v.Platform, with)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
