using System.Globalization;
using Godwit.Api;
using Godwit.Host.Access;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Godwit.Host.Http;

/// <summary>What the OpenAPI document says beyond what endpoints tell of themselves: the role each takes, and the problem that
/// each may answer with.</summary>
internal static class InterfaceDescription
{
    private const string ProblemType = "application/problem+json";

    public static void Configure(OpenApiOptions options)
    {
        options.AddOperationTransformer((operation, context, _) =>
        {
            Describe(operation, context);
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "godwitd";
            // Where it was asked for is not part of it.
            document.Servers?.Clear();
            // Named by endpoints for want of our own, which has replaced it.
            document.Components?.Schemas?.Remove("ProblemDetails");
            return Task.CompletedTask;
        });
    }

    private static void Describe(OpenApiOperation operation, OpenApiOperationTransformerContext context)
    {
        var (method, pattern) = (context.Description.HttpMethod ?? "", "/" + context.Description.RelativePath?.Trim('/'));
        operation.Description = EndpointRoles.IsOpen(method, pattern)
            ? "For everybody."
            : $"Takes the role {EndpointRoles.Of(method, pattern)?.ToString().ToLower(CultureInfo.InvariantCulture) ?? "of nobody"}.";
        operation.Responses ??= [];
        operation.Responses.Remove("500");
        operation.Responses["default"] = new OpenApiResponse
        {
            Description = "A problem, with a stable code",
            Content = new Dictionary<string, OpenApiMediaType>
            {
                [ProblemType] = new() { Schema = new OpenApiSchemaReference(nameof(Problem), context.Document) },
            },
        };
    }
}
