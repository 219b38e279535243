using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.Host.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/tokens and /v1/audit</summary>
internal static class AccessEndpoints
{
    private const int DefaultPage = 100;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var tokens = routes.MapGroup("/v1/tokens").WithTags("Access").ProducesProblem(StatusCodes.Status500InternalServerError);
        tokens.MapGet("", (TokenStore store) => store.List()).WithSummary("The tokens of people, without their secrets.");
        tokens.MapPost("", Create).WithSummary("Makes a token; its secret is in this answer and nowhere else.").WithMetadata(AnswersWithSecret.Mark);
        tokens.MapDelete("/{name}", Remove).WithSummary("Removes a token; its bearer is refused from then on.");
        routes.MapGet("/v1/audit", (AuditLog log, int? limit, long? after) => log.Read(limit ?? DefaultPage, after))
            .WithTags("Access").WithSummary("Who asked to change what, newest first; 'next' of a page is 'after' of the one behind it.");
    }

    private static Created<NewAccessToken> Create(AccessTokenSpec spec, TokenStore store, HttpContext context)
    {
        var token = store.Create(spec);
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created("/v1/tokens/" + Uri.EscapeDataString(token.Token.Name), token);
    }

    private static NoContent Remove(string name, TokenStore store)
    {
        store.Remove(name);
        return TypedResults.NoContent();
    }
}
