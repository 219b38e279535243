namespace Godwit.Benchmarks.Disk;

/// <summary>A program that does the work of a case.</summary>
/// <param name="Name">"godwit", "qemu-img" or "cp".</param>
/// <param name="Program">The program.</param>
/// <param name="Arguments">What it is told.</param>
/// <param name="Target">The file it makes, removed before each run; null when it only reads.</param>
internal sealed record Contender(string Name, string Program, IReadOnlyList<string> Arguments, string? Target = null);

/// <summary>One piece of work, and who does it in turn.</summary>
/// <param name="Name">How it is called in the report.</param>
/// <param name="Contenders">Godwit's first.</param>
/// <param name="Check">What an independent program is asked afterwards about the file Godwit has made; null when none was made.</param>
/// <param name="Note">What must be known to read the numbers.</param>
internal sealed record DiskCase(string Name, IReadOnlyList<Contender> Contenders, Contender? Check = null, string? Note = null);
