namespace Godwit.Worker.Supervision;

/// <summary>What a supervisor hands on to the newer program it becomes, as its arguments.</summary>
/// <remarks>An older program passes them to a newer one: they are only ever added to.</remarks>
/// <param name="Lock">Descriptor that holds the supervisor's lock.</param>
/// <param name="Nbd">Descriptor of the listening NBD socket.</param>
/// <param name="Control">Descriptor of the listening control socket.</param>
/// <param name="Restarts">How often a worker has been started again.</param>
internal sealed record Inheritance(int Lock, int Nbd, int Control, int Restarts);
