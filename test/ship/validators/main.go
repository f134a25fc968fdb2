// SPDX-License-Identifier: Apache-2.0
//
// What OLM's own code says of our bundle and catalog: every validator of operator-framework/api, and the two commands
// of opm that a catalog is made and checked by. One program for all three, since they share nearly all of their code.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/template"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	"github.com/operator-framework/operator-registry/alpha/action"
	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"github.com/operator-framework/operator-registry/pkg/lib/config"
	"github.com/sirupsen/logrus"
)

const usage = `usage: olm-validators bundle FOLDER          every validator of operator-framework/api, as JSON
       olm-validators render FOLDER IMAGE    opm render: the bundle as an entry of a catalog, as YAML
       olm-validators catalog FOLDER         opm validate
`

// finding is one sentence of one validator.
type finding struct {
	Manifest string `json:"manifest"`
	Level    string `json:"level"`
	Text     string `json:"text"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "bundle":
		return validateBundle(args[1])
	case len(args) == 3 && args[0] == "render":
		return render(args[1], args[2])
	case len(args) == 2 && args[0] == "catalog":
		return config.Validate(context.Background(), os.DirFS(args[1]))
	}
	return fmt.Errorf("%s", usage)
}

// validateBundle prints what the validators found and leaves it to the reader whether that is too much.
func validateBundle(folder string) error {
	bundle, err := manifests.GetBundleFromDir(folder)
	if err != nil {
		return err
	}
	findings := []finding{}
	for _, result := range validation.AllValidators.Validate(bundle.ObjectsToValidate()...) {
		for _, one := range append(result.Errors, result.Warnings...) {
			findings = append(findings, finding{result.Name, string(one.Level), one.Error()})
		}
	}
	return json.NewEncoder(os.Stdout).Encode(findings)
}

// render gives the bundle the name of the image that it will be in, which need not exist yet.
func render(folder, image string) error {
	logrus.SetOutput(io.Discard)
	name, err := template.New("image").Parse(image)
	if err != nil {
		return err
	}
	asked := action.Render{Refs: []string{folder}, AllowedRefMask: action.RefBundleDir, ImageRefTemplate: name}
	cfg, err := asked.Run(context.Background())
	if err != nil {
		return err
	}
	return declcfg.WriteYAML(*cfg, os.Stdout)
}
