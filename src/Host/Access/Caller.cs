using Godwit.Api.Access;

namespace Godwit.Host.Access;

/// <summary>Who a request comes from.</summary>
/// <param name="Name">"user:NAME", "token:NAME" or "host:NAME": the prefix keeps a token from passing for a user.</param>
/// <param name="Role">What it may do; null for nothing.</param>
/// <param name="Origin">How that is known.</param>
internal sealed record Caller(string Name, Role? Role, CallerOrigin Origin)
{
    /// <summary>Of a request nobody is known for.</summary>
    public static Caller Nobody { get; } = new("", null, CallerOrigin.Unknown);

    /// <summary>The caller of a request; <see cref="Nobody"/> before it was looked for.</summary>
    public static Caller Of(HttpContext context) => context.Features.Get<Caller>() ?? Nobody;
}
