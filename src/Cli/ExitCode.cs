namespace Godwit.Cli;

/// <summary>What the program answers the shell with. Documented in docs/reference/cli.md; numbers never change meaning.</summary>
internal static class ExitCode
{
    /// <summary>Done as asked.</summary>
    public const int Ok = 0;

    /// <summary>Failed; for <c>disk check</c>: errors were found in the image; for <c>disk compare</c>: the disks differ.</summary>
    public const int Failed = 1;

    /// <summary>Cancelled, by the user or by whoever cancelled the job.</summary>
    public const int Cancelled = 2;

    /// <summary>No VM, job, disk or file of that name.</summary>
    public const int NotFound = 3;

    /// <summary><c>disk check</c> and <c>disk compare</c> only: a file exists and could not be examined.</summary>
    public const int NotChecked = 4;

    /// <summary>The command line is wrong (EX_USAGE of sysexits).</summary>
    public const int Usage = 64;
}
