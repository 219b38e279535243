namespace Godwit.Api.Access;

/// <summary>A token of a person or program, without its secret: that is not stored.</summary>
/// <param name="Name">What it is called here and in the audit log.</param>
/// <param name="Role">What its bearer may do.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Expires">From when on it is refused; null for never.</param>
/// <param name="LastUsed">When it was last used, to the minute; null for never.</param>
public sealed record AccessToken(string Name, Role Role, DateTimeOffset Created, DateTimeOffset? Expires = null, DateTimeOffset? LastUsed = null);

/// <summary>A token that has just been made.</summary>
/// <param name="Token">What is known of it from now on.</param>
/// <param name="Secret">What its bearer shows. Told this once; only a hash of it is stored.</param>
public sealed record NewAccessToken(AccessToken Token, string Secret);

/// <summary>A token to be made.</summary>
/// <param name="Name">See <see cref="IsName"/>; no other token may have it.</param>
/// <param name="Role">What its bearer may do.</param>
/// <param name="LifetimeSeconds">How long it is good; null for ever.</param>
public sealed record AccessTokenSpec(string Name, Role Role, long? LifetimeSeconds = null)
{
    /// <summary>The longest life a token may have, in seconds: ten years.</summary>
    public const long MaximumLifetime = 10L * 365 * 24 * 3600;

    /// <summary>Whether a token may be called this: 1 to 64 letters, digits, dots, underscores and hyphens of ASCII.</summary>
    /// <param name="name">The name.</param>
    public static bool IsName(string? name) =>
        name is { Length: > 0 and <= 64 } && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
}
