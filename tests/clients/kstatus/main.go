// Command kstatus says what the library behind Helm's and Flux's waiting makes of a Deployment: its status and the
// message, separated by a tab. It reads the object as JSON from standard input and talks to nobody.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(os.Stdin).Decode(object); err != nil {
		return fmt.Errorf("failed to parse the object: %w", err)
	}
	result, err := status.Compute(object)
	if err != nil {
		return fmt.Errorf("failed to compute the status: %w", err)
	}
	fmt.Printf("%s\t%s\n", result.Status, result.Message)
	return nil
}
