package admission

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"tenure.dev/tenure/api/v1alpha1"
)

// Where the full plans are asked for, as the paths of mutating webhooks are named.
const (
	userPlans       = "/mutate-tenure-dev-v1alpha1-user"
	membershipPlans = "/mutate-tenure-dev-v1alpha1-membership"
)

func (g *Guards) servePlans(mgr ctrl.Manager) {
	server := mgr.GetWebhookServer()
	server.Register(userPlans, &webhook.Webhook{Handler: plansOf(g, observeUser)})
	server.Register(membershipPlans, &webhook.Webhook{Handler: plansOf(g, observeMembership)})
}

// plansOf answers a dry run that asks for the full plan of a change. What is stored never has one.
func plansOf[T any, P interface {
	*T
	client.Object
}](g *Guards, observe observer[T],
) webhook.Handler {
	return webhook.HandlerFunc(func(ctx context.Context, request webhook.Request) webhook.Response {
		ctx = webhook.NewContextWithRequest(ctx, request)
		s, err := g.scene(ctx)
		if err != nil {
			return webhook.Errored(http.StatusInternalServerError, err)
		}
		after, before := P(new(T)), P(nil)
		if err := json.Unmarshal(request.Object.Raw, after); err != nil {
			return webhook.Errored(http.StatusBadRequest, err)
		}
		if len(request.OldObject.Raw) > 0 {
			before = new(T)
			if err := json.Unmarshal(request.OldObject.Raw, before); err != nil {
				return webhook.Errored(http.StatusBadRequest, err)
			}
		}
		if !s.by.dryRun || after.GetAnnotations()[v1alpha1.AnnotationPreview] != v1alpha1.PreviewFull {
			return webhook.Patched("", without(after, v1alpha1.AnnotationPlan, v1alpha1.AnnotationPreview)...)
		}
		c, err := observe(ctx, s, before, after)
		if err != nil {
			return webhook.Errored(http.StatusInternalServerError, err)
		}
		said, err := c.foretell(ctx)
		if err != nil {
			return webhook.Denied(err.Error())
		}
		plan, err := said.Full()
		if err != nil {
			return webhook.Errored(http.StatusInternalServerError, err)
		}
		return webhook.Patched("", jsonpatch.NewOperation("add", annotationPath(v1alpha1.AnnotationPlan), plan))
	})
}

// without takes annotations off an object.
func without(object client.Object, names ...string) []jsonpatch.Operation {
	var operations []jsonpatch.Operation
	for _, name := range names {
		if _, there := object.GetAnnotations()[name]; there {
			operations = append(operations, jsonpatch.NewOperation("remove", annotationPath(name), nil))
		}
	}
	return operations
}

// escape writes a key into a JSON pointer (RFC 6901).
var escape = strings.NewReplacer("~", "~0", "/", "~1")

// annotationPath is the JSON pointer of one of Tenure's annotations, whose names have one slash.
func annotationPath(name string) string {
	return "/metadata/annotations/" + escape.Replace(name)
}
