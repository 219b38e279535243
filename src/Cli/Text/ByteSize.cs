using System.Globalization;

namespace Godwit.Cli.Text;

/// <summary>Sizes as people write them: binary units only, because a disk's size must be exact.</summary>
internal static class ByteSize
{
    /// <summary>What <see cref="TryParse"/> takes, for messages.</summary>
    public const string Accepted = "write bytes, or a number with K, M, G or T (KiB, MiB, GiB, TiB; 1024 each), for example 8G";

    private const string Letters = "KMGT";

    /// <summary>Reads a size.</summary>
    /// <param name="text">"8G", "8GiB", "1.5G", "4096" or "4096B"; upper or lower case.</param>
    /// <param name="bytes">The size.</param>
    /// <returns>False when it is not a size, not a whole number of bytes, or too large.</returns>
    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        var digits = text.AsSpan().TrimEnd("KMGTIBkmgtib");
        if (!TryReadFactor(text.AsSpan(digits.Length), out var factor)
            || !decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            || number > long.MaxValue / factor)
        {
            return false;
        }

        var product = number * factor;
        bytes = (long)product;
        return bytes == product;
    }

    /// <summary>Writes a size for people, with at most one decimal: "8 GiB", "1.4 MiB", "512 B".</summary>
    public static string Format(long bytes)
    {
        if (bytes < 1024)
            return string.Create(CultureInfo.InvariantCulture, $"{bytes} B");
        var value = bytes / 1024m;
        var unit = 0;
        // Rounded first: 1023.96 MiB is 1 GiB, never "1024 MiB".
        while (decimal.Round(value, 1) >= 1024 && unit < Letters.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {Letters[unit]}iB");
    }

    private static bool TryReadFactor(ReadOnlySpan<char> unit, out long factor)
    {
        factor = 1;
        if (unit.IsEmpty || unit.Equals("B", StringComparison.OrdinalIgnoreCase))
            return true;
        var power = Letters.IndexOf(char.ToUpperInvariant(unit[0]), StringComparison.Ordinal);
        if (power < 0 || !(unit.Length == 1 || unit[1..].Equals("iB", StringComparison.OrdinalIgnoreCase)))
            return false;
        factor = 1L << (10 * (power + 1));
        return true;
    }
}
