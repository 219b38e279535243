using Godwit.Api.Access;

namespace Godwit.Cli.Access;

/// <summary>Roles as people write them.</summary>
internal static class RoleText
{
    /// <summary>All roles, lowest first.</summary>
    public static readonly string[] Words = [.. Enum.GetValues<Role>().Select(Of)];

    /// <summary>The word for a role.</summary>
    public static string Of(Role role) => role.ToString().ToLowerInvariant();

    /// <summary>The role a word means.</summary>
    /// <exception cref="UsageException">It is none.</exception>
    public static Role Parse(string text)
    {
        foreach (var role in Enum.GetValues<Role>())
        {
            if (text == Of(role))
                return role;
        }

        throw new UsageException($"--role: \"{text}\" is not a role: use {string.Join(", ", Words)}");
    }
}
