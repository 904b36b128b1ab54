// Command flux does to one object what Flux's kustomize-controller does at every interval, with that controller's own
// library: `flux apply` applies the object on standard input when it has drifted, `flux diff` only says whether it has.
// It prints the action: created, configured or unchanged. The cluster is the one that KUBECONFIG names.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/ssa"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// The names that kustomize-controller goes by.
var owner = ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}

// What that controller puts in order before it applies, in a request of its own: what was set by kubectl becomes its own.
// Source: reconciliation of a Kustomization in https://github.com/fluxcd/kustomize-controller.
var cleanup = ssa.ApplyCleanupOptions{
	Annotations: []string{corev1.LastAppliedConfigAnnotation},
	Labels:      []string{owner.Group + "/checksum"},
	FieldManagers: []ssa.FieldManager{
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: owner.Field, OperationType: metav1.ManagedFieldsOperationUpdate},
	},
	Exclusions: map[string]string{owner.Group + "/ssa": "Merge"},
}

func main() {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "flux:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("failed to parse the arguments: expected apply or diff")
	}
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(os.Stdin).Decode(object); err != nil {
		return fmt.Errorf("failed to parse the object: %w", err)
	}
	manager, err := connect()
	if err != nil {
		return err
	}
	manager.SetOwnerLabels([]*unstructured.Unstructured{object}, "app", object.GetNamespace())
	switch arguments[0] {
	case "apply":
		// Objects are validated all together before any is written, as the controller has it.
		options := ssa.DefaultApplyOptions()
		options.Cleanup = cleanup
		changes, err := manager.ApplyAll(ctx, []*unstructured.Unstructured{object}, options)
		if err != nil {
			return fmt.Errorf("failed to apply: %w", err)
		}
		for _, entry := range changes.Entries {
			fmt.Println(entry.Action)
		}
	case "diff":
		entry, _, _, err := manager.Diff(ctx, object, ssa.DefaultDiffOptions())
		if err != nil {
			return fmt.Errorf("failed to compare: %w", err)
		}
		fmt.Println(entry.Action)
	default:
		return fmt.Errorf("failed to parse %q: expected apply or diff", arguments[0])
	}
	return nil
}

func connect() (*ssa.ResourceManager, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	// A Deployment is the only kind here, so nothing waits for the statuses of others: no poller.
	connection, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("failed to connect: %w", err)
	}
	return ssa.NewResourceManager(connection, nil, owner), nil
}
