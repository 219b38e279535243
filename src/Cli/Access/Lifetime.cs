using System.Globalization;
using Godwit.Api.Access;

namespace Godwit.Cli.Access;

/// <summary>How long something is good, as people write it: "30d", "12h", "90m", "never".</summary>
internal static class Lifetime
{
    /// <summary>Reads a lifetime.</summary>
    /// <param name="text">What was typed.</param>
    /// <returns>Seconds, or null for ever.</returns>
    /// <exception cref="UsageException">It is none.</exception>
    public static long? Parse(string text)
    {
        if (text == "never")
            return null;
        long unit = text.Length > 1 ? text[^1] switch { 'd' => 86_400, 'h' => 3_600, 'm' => 60, _ => 0 } : 0;
        if (unit > 0 && long.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && count is > 0 and <= AccessTokenSpec.MaximumLifetime && count * unit <= AccessTokenSpec.MaximumLifetime)
        {
            return count * unit;
        }

        throw new UsageException($"--expires: \"{text}\" is not a time: write days, hours or minutes, as in 30d, 12h or 90m, up to ten years, or never");
    }
}
