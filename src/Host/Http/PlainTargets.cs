using Godwit.Api;
using Microsoft.AspNetCore.Http.Features;

namespace Godwit.Host.Http;

/// <summary>Refuses a request whose path has "." or ".." in it, however they are written: the server would resolve them before routing, and a name that is made of dots
/// would make another request of it ("DELETE /v1/vms/web/checkpoints/.." is "DELETE /v1/vms/web").</summary>
internal sealed class PlainTargets(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        var target = context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";
        if (HasDots(target.Split('?')[0]))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "The path has \".\" or \"..\" in it.", "No name is made of dots; see /openapi/v1.json.");
        }
        return next(context);
    }

    private static bool HasDots(string path) => path.Split('/').Any(part => Uri.UnescapeDataString(part) is "." or "..");
}
