using Godwit.Api.Access;
using static Godwit.Api.Access.Role;

namespace Godwit.Host.Access;

/// <summary>The lowest role each endpoint takes: all of it, in one place. An endpoint that is not here is refused to
/// everybody.</summary>
internal static class EndpointRoles
{
    private static readonly Dictionary<string, Role> Lowest = new(StringComparer.Ordinal)
    {
        ["GET /openapi/{documentName}.json"] = Viewer,
        ["GET /v1/vms"] = Viewer,
        ["GET /v1/vms/{name}"] = Viewer,
        ["GET /v1/vms/{name}/disks/{disk}/points"] = Viewer,
        ["GET /v1/vms/{name}/checkpoints"] = Viewer,
        ["GET /v1/jobs"] = Viewer,
        ["GET /v1/jobs/{id:guid}"] = Viewer,
        ["GET /v1/jobs/{id:guid}/events"] = Viewer,
        ["GET /v1/host"] = Viewer,
        ["GET /v1/host/checks"] = Viewer,
        ["GET /v1/statistics"] = Viewer,
        ["GET /metrics"] = Viewer,

        ["POST /v1/vms"] = Operator,
        ["POST /v1/vms/{name}/start"] = Operator,
        ["POST /v1/vms/{name}/stop"] = Operator,
        ["PATCH /v1/vms/{name}/settings"] = Operator,
        ["POST /v1/vms/{name}/rename"] = Operator,
        ["POST /v1/vms/{name}/pause"] = Operator,
        ["POST /v1/vms/{name}/resume"] = Operator,
        ["POST /v1/vms/{name}/reset"] = Operator,
        ["POST /v1/vms/{name}/save"] = Operator,
        ["PUT /v1/vms/{name}/dvd-drives/{drive}"] = Operator,
        ["DELETE /v1/vms/{name}/saved-state"] = Operator,
        ["POST /v1/vms/{name}/restart-worker"] = Operator,
        ["POST /v1/vms/{name}/storage-moves"] = Operator,
        ["PUT /v1/vms/{name}/disks/{disk}/limits"] = Operator,
        ["POST /v1/vms/{name}/disks/{disk}/points"] = Operator,
        ["DELETE /v1/vms/{name}/disks/{disk}/points/{point}"] = Operator,
        ["POST /v1/vms/{name}/checkpoints"] = Operator,
        ["POST /v1/vms/{name}/checkpoints/{checkpoint}/apply"] = Operator,
        ["POST /v1/vms/{name}/checkpoints/{checkpoint}/rename"] = Operator,
        ["DELETE /v1/vms/{name}/checkpoints/{checkpoint}"] = Operator,
        ["POST /v1/vms/{name}/checkpoint-merges"] = Operator,
        ["POST /v1/jobs/{id:guid}/cancel"] = Operator,

        ["DELETE /v1/vms/{name}"] = Administrator,
        ["GET /v1/tokens"] = Administrator,
        ["POST /v1/tokens"] = Administrator,
        ["DELETE /v1/tokens/{name}"] = Administrator,
        ["GET /v1/audit"] = Administrator,
        ["GET /v1/host/certificate"] = Viewer,
        ["POST /v1/host/certificate"] = Administrator,
        ["POST /v1/host/authority"] = Administrator,
        ["POST /v1/host/join-tokens"] = Administrator,
        ["POST /v1/host/membership"] = Administrator,
        ["POST /v1/host/rescan"] = Administrator,
        ["POST /v1/host/stop-vms"] = Administrator,
    };

    /// <summary>What takes no role: how a host that nobody knows yet gets its certificate.</summary>
    private static readonly HashSet<string> Open = new(StringComparer.Ordinal) { "GET /v1/host/join", "POST /v1/host/join" };

    /// <summary>The lowest role that an endpoint takes; null when it is not in the table.</summary>
    public static Role? Of(string method, string pattern) => Lowest.TryGetValue($"{method} {pattern}", out var role) ? role : null;

    /// <summary>Whether an endpoint is for everybody, known or not; it looks after itself.</summary>
    public static bool IsOpen(string method, string pattern) => Open.Contains($"{method} {pattern}");

    /// <summary>The pattern of an endpoint's paths, as it is written in the table.</summary>
    public static string PatternOf(RouteEndpoint endpoint) => "/" + endpoint.RoutePattern.RawText?.Trim('/');
}
