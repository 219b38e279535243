namespace Godwit.Api.Hosts;

/// <summary>A join token to be made.</summary>
/// <param name="Host">The host that is to join; its name in certificate and audit log.</param>
/// <param name="Names">DNS names and addresses its certificate is to be for; null for its name alone.</param>
public sealed record JoinTokenSpec(string Host, IReadOnlyList<string>? Names = null);

/// <summary>A join token that has just been made. It lets one host join, once, soon.</summary>
/// <param name="Host">The host that may join.</param>
/// <param name="Secret">What it shows. Told this once; only a hash of it is stored.</param>
/// <param name="Expires">From when on it is refused.</param>
/// <param name="AuthorityFingerprint">SHA-256 of the authority, by which the joining host knows that it talks to the right one.</param>
public sealed record JoinToken(string Host, string Secret, DateTimeOffset Expires, string AuthorityFingerprint);

/// <summary>What a host that wants to join sends to the authority's host.</summary>
/// <param name="Token">The join token's secret.</param>
/// <param name="Request">A certificate signing request in PEM form. Only its key counts: names come from the token.</param>
public sealed record JoinRequest(string Token, string Request);

/// <summary>What a host that has joined gets.</summary>
/// <param name="Certificate">Its certificate in PEM form.</param>
public sealed record JoinAnswer(string Certificate);

/// <summary>The authority of a host; public.</summary>
/// <param name="Certificate">In PEM form.</param>
public sealed record AuthorityCertificate(string Certificate);

/// <summary>Which host's authority this host is to join.</summary>
/// <param name="Address">"HOST:PORT" of that host.</param>
/// <param name="Token">The join token's secret.</param>
/// <param name="AuthorityFingerprint">SHA-256 of its authority, in hexadecimal digits, with or without colons.</param>
public sealed record MembershipSpec(string Address, string Token, string AuthorityFingerprint);
