package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"tenure.dev/tenure/api/v1alpha1"
)

// Webhooks is where operators say that they serve webhooks. They need a certificate for localhost.
func (c *Cluster) Webhooks() *Gate {
	return c.gate
}

// throughGate takes the webhook configurations out of manifests and has them call the gate: without nodes there is no
// network on which a Service could be reached.
func (c *Cluster) throughGate(manifests string) (others, webhooks string, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return others, webhooks, nil
		}
		if err != nil {
			return "", "", fmt.Errorf("reading manifests: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, object); err != nil {
			return "", "", fmt.Errorf("reading a manifest: %w", err)
		}
		if group := object.GroupVersionKind().Group; group != admissionregistrationv1.GroupName || !strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
			others += "---\n" + string(document)
			continue
		}
		if document, err = c.redirect(object); err != nil {
			return "", "", err
		}
		webhooks += "---\n" + string(document)
	}
}

// redirect writes a webhook configuration that calls the gate instead of a Service.
func (c *Cluster) redirect(configuration *unstructured.Unstructured) ([]byte, error) {
	hooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", configuration.GetKind(), configuration.GetName(), err)
	}
	for _, hook := range hooks {
		call, _, err := unstructured.NestedMap(hook.(map[string]any), "clientConfig")
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", configuration.GetKind(), configuration.GetName(), err)
		}
		path, _, _ := unstructured.NestedString(call, "service", "path")
		delete(call, "service")
		call["url"] = c.gate.url(path)
		hook.(map[string]any)["clientConfig"] = call
	}
	configuration.Object["webhooks"] = hooks
	return yaml.Marshal(configuration.Object)
}

// AwaitWebhooks returns when the API server asks an operator about Users, and is answered. Before, it takes them unasked, as
// it comes to know of webhooks somewhat later; or refuses them, as it neither finds an operator nor trusts its certificate.
func (c *Cluster) AwaitWebhooks(ctx context.Context) error {
	admin, err := tenureClient(c.admin)
	if err != nil {
		return err
	}
	metrics, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return fmt.Errorf("preparing to look at webhooks: %w", err)
	}
	last := errors.New("no answer")
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		err := asked(ctx, admin, metrics)
		if ctx.Err() == nil { // else it says nothing about why that has come
			last = err
		}
		return err == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the webhooks: %w; %w", err, last)
	}
	return nil
}

// asked tries to create a User and sees whether the API server has asked about it.
func asked(ctx context.Context, admin client.Client, metrics kubernetes.Interface) error {
	before, err := calls(ctx, metrics)
	if err != nil {
		return err
	}
	if err := admin.Create(ctx, probe(), client.DryRunAll); err != nil {
		return fmt.Errorf("trying to create a User: %w", err)
	}
	after, err := calls(ctx, metrics)
	if err != nil {
		return err
	}
	if after <= before {
		return errors.New("nobody is asked about a new User")
	}
	return nil
}

var callsPattern = regexp.MustCompile(`(?m)^apiserver_admission_webhook_request_total\{.*name="users\.tenure\.dev".*\} (\S+)$`)

// calls counts how often the API server has called the webhook for Users, as it says itself.
func calls(ctx context.Context, metrics kubernetes.Interface) (count float64, err error) {
	said, err := metrics.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the metrics of the API server: %w", err)
	}
	for _, sample := range callsPattern.FindAllSubmatch(said, -1) {
		n, err := strconv.ParseFloat(string(sample[1]), 64)
		if err != nil {
			return 0, fmt.Errorf("reading the metrics of the API server: %w", err)
		}
		count += n
	}
	return count, nil
}

// probe is a User that is tried and never created.
func probe() *v1alpha1.User {
	return &v1alpha1.User{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: metav1.NamespaceDefault},
		Spec:       v1alpha1.UserSpec{UserName: "probe@tenure.dev", Email: "probe@tenure.dev"},
	}
}
