using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Qemu.Processes;

namespace Godwit.Qemu;

/// <summary>A version of QEMU.</summary>
/// <param name="Major">First number.</param>
/// <param name="Minor">Second number.</param>
/// <param name="Micro">Third number.</param>
public sealed partial record QemuVersion(int Major, int Minor, int Micro)
{
    /// <summary>The oldest version accepted. 10.0 is the oldest one that Godwit is tested with.</summary>
    public static QemuVersion Minimum { get; } = new(10, 0, 0);

    /// <summary>Asks a QEMU program for its version.</summary>
    /// <param name="binary">Absolute path of the program, for example /usr/bin/qemu-system-x86_64.</param>
    /// <param name="scratchFolder">An existing folder for a short-lived file.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QemuException">Not there, no QEMU, or older than <see cref="Minimum"/>.</exception>
    public static async Task<QemuVersion> QueryAsync(
        string binary, string scratchFolder, TimeProvider time, CancellationToken cancellationToken)
    {
        var scratch = Path.Combine(scratchFolder, $"version-{Guid.NewGuid():N}");
        var run = await BoundedRun.RunAsync(binary, ["--version"], scratch, TimeSpan.FromSeconds(30), time, cancellationToken)
            .ConfigureAwait(false);
        var version = Parse(run.Output)
            ?? throw new QemuException(QemuErrorKind.NotInstalled, $"{binary} does not say that it is QEMU: {FirstLine(run.Output)}");
        return version.IsAtLeast(Minimum)
            ? version
            : throw new QemuException(QemuErrorKind.TooOld, $"{binary} is QEMU {version}; {Minimum} or newer is needed (Debian 12: from backports)");
    }

    /// <summary>Finds the version in what <c>--version</c> prints; null when there is none.</summary>
    internal static QemuVersion? Parse(string output)
    {
        var match = VersionLine().Match(output);
        return match.Success ? new QemuVersion(Number(match, 1), Number(match, 2), Number(match, 3)) : null;
    }

    /// <summary>This version is the other one or a later one.</summary>
    public bool IsAtLeast(QemuVersion other) => (Major, Minor, Micro).CompareTo((other.Major, other.Minor, other.Micro)) >= 0;

    /// <summary>"10.0.2".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Micro}");

    private static int Number(Match match, int group) =>
        match.Groups[group].Success ? int.Parse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) : 0;

    private static string FirstLine(string text) => text.Split('\n', 2)[0];

    [GeneratedRegex(@"^QEMU emulator version ([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")]
    private static partial Regex VersionLine();
}
