namespace Godwit.Storage.Files;

/// <summary>The running start of this computer.</summary>
internal static class Boot
{
    private const string IdFile = "/proc/sys/kernel/random/boot_id";

    /// <summary>A different number after every start of the computer. Where the system does not tell, one of this process:
    /// then nothing that another process left counts as being of the same start, which is the safe answer.</summary>
    public static Guid Id { get; } = Read();

    private static Guid Read()
    {
        try
        {
            return Guid.TryParse(File.ReadAllText(IdFile), out var id) ? id : Guid.NewGuid();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Guid.NewGuid();
        }
    }
}
