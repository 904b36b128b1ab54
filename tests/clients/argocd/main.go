// Command argocd does to one object what Argo CD's application controller does, with that controller's own engine:
// `argocd apply` and `argocd apply-server-side` apply the manifest on standard input (a sync, or a self-heal), `argocd
// diff` says whether the live object is Synced or OutOfSync with it, and `argocd health` what it makes of the live object
// on standard input: status and message, separated by a tab. The cluster is the one that KUBECONFIG names.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/health"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// The field manager that Argo CD goes by.
const manager = "argocd-controller"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("failed to parse the arguments: expected apply, apply-server-side, diff or health")
	}
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(os.Stdin).Decode(object); err != nil {
		return fmt.Errorf("failed to parse the object: %w", err)
	}
	switch arguments[0] {
	case "apply":
		return apply(ctx, object, false)
	case "apply-server-side":
		return apply(ctx, object, true)
	case "diff":
		return compare(ctx, object)
	case "health":
		return tellHealth(object)
	}
	return fmt.Errorf("failed to parse %q: expected apply, apply-server-side, diff or health", arguments[0])
}

func connect() (*kube.KubectlCmd, *rest.Config, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	return &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}, config, nil
}

func apply(ctx context.Context, object *unstructured.Unstructured, serverSide bool) error {
	kubectl, config, err := connect()
	if err != nil {
		return err
	}
	schema, _, err := kubectl.LoadOpenAPISchema(config)
	if err != nil {
		return fmt.Errorf("failed to load the schema: %w", err)
	}
	operations, cleanup, err := kubectl.ManageResources(config, schema)
	if err != nil {
		return fmt.Errorf("failed to prepare: %w", err)
	}
	defer cleanup()
	force, validate := false, true
	said, err := operations.ApplyResource(ctx, object, cmdutil.DryRunNone, force, validate, serverSide, manager)
	if err != nil {
		return fmt.Errorf("failed to apply: %w", err)
	}
	fmt.Println(said)
	return nil
}

func compare(ctx context.Context, object *unstructured.Unstructured) error {
	kubectl, config, err := connect()
	if err != nil {
		return err
	}
	live, err := kubectl.GetResource(ctx, config, object.GroupVersionKind(), object.GetName(), object.GetNamespace())
	if err != nil {
		return fmt.Errorf("failed to get the live object: %w", err)
	}
	result, err := diff.Diff(object, live)
	if err != nil {
		return fmt.Errorf("failed to compare: %w", err)
	}
	if result.Modified {
		fmt.Println("OutOfSync")
	} else {
		fmt.Println("Synced")
	}
	return nil
}

func tellHealth(object *unstructured.Unstructured) error {
	result, err := health.GetResourceHealth(object, nil)
	if err != nil {
		return fmt.Errorf("failed to tell the health: %w", err)
	}
	fmt.Printf("%s\t%s\n", result.Status, result.Message)
	return nil
}
